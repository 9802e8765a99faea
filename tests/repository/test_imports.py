"""The table of allowed imports (docs/architecture.md, "The packages"), enforced over every file."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "starktrack"
FILES = sorted(PACKAGE.rglob("*.py"))

BASE = {"arrays", "errors", "files", "pipeline"}
KINDS_MAY_TRAIN_WITH = {f"training.{name}" for name in ("distill", "joint", "losses", "refine_loss")}
"""The losses; `training` itself knows kinds only by their record."""

ALLOWED = {
    "errors": set(),
    "pipeline": set(),
    "arrays": set(),
    "files": {"errors"},
    "config": BASE,
    "geometry": BASE | {"config"},
    "data": BASE | {"config", "geometry"},
    "interchange": BASE | {"config", "geometry", "data"},
    "studio": BASE
    | {"api", "engines", "explanation", "geometry", "data", "interchange"}
    | {"tracking.overlay", "tracking.protocol", "tracking.refinement"},
    "models": BASE | {"config", "geometry"},
    "evaluation": BASE | {"config", "geometry", "data", "interchange"},
    "tracking": BASE | {"config", "geometry", "data"},
    "kinds": BASE | {"config", "data", "models", "tracking.protocol"} | KINDS_MAY_TRAIN_WITH,
    "training": BASE | {"config", "geometry", "data", "kinds", "models"},
    "engines": BASE | {"config", "geometry", "data", "kinds", "models", "tracking.protocol"},
    "explanation": BASE
    | {"config", "geometry", "data", "models", "engines", "tracking.protocol", "tracking.overlay"},
    "hub": BASE | {"models", "engines"},
    "pretrained": set(),
    "api": BASE | {"config", "geometry", "data", "kinds", "tracking", "engines", "hub", "pretrained"},
    "vot": BASE | {"api", "config", "geometry", "data", "tracking"},
    "detections": BASE | {"data", "geometry"},
    "__init__": {"api", "config", "data", "detections", "errors", "tracking", "workflows"},
    "__main__": {"cli"},
}
"""Which other areas an area may import; a dotted name allows that one module.

`cli` may import all, `workflows` all but `cli`.
"""

PRINTING = {
    "batch_table",
    "interrupts",
    "options",
    "progress",
    "tables",
    "train_plan",
    "verb_command",
}
"""Files of `cli/` that are no verb: options and signals that verbs share, and what they print."""

WITHOUT_TORCH = (
    "api",
    "cli",
    "config",
    "data.frames",
    "detections",
    "data.formats",
    "data.video_sequence",
    "data.sources",
    "data.trajectory",
    "data.video",
    "engines.onnx_engine",
    "engines.openvino_engine",
    "evaluation",
    "geometry",
    "interchange",
    "studio",
    "kinds",
    "tracking",
)
"""Modules and packages whose import must not import torch."""


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path, *, at_import_only: bool = False) -> list[tuple[int, str]]:
    """Return (line, full name) of everything a file imports; of `from a import b`, `a.b`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = when_imported(tree) if at_import_only else ast.walk(tree)
    found = []
    for node in nodes:
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def when_imported(node: ast.AST):
    """Yield the nodes that run when a file is imported: not those in functions or for type checkers."""
    for child in ast.iter_child_nodes(node):
        is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if is_function or (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            continue
        yield child
        yield from when_imported(child)


def own_imports(path: Path, **options) -> list[tuple[int, str]]:
    prefix = "starktrack."
    return [
        (line, name.removeprefix(prefix))
        for line, name in imports_of(path, **options)
        if name.startswith(prefix)
    ]


def refusals() -> tuple[list[str], int]:
    refused, seen = [], 0
    for path in FILES:
        area = name_of(path).split(".")[0] or "__init__"
        for line, name in own_imports(path):
            other = name.split(".")[0]
            if other == area:
                continue
            seen += 1
            allowed = (
                area == "cli"
                or (area == "workflows" and other != "cli")
                or other in ALLOWED.get(area, set())
                or ".".join(name.split(".")[:2]) in ALLOWED.get(area, set())
            )
            if not allowed:
                refused.append(f"{path.relative_to(PACKAGE)}:{line}: {area} may not import {name}")
    return refused, seen


def test_every_area_imports_only_what_the_design_allows():
    refused, seen = refusals()
    assert not refused, "\n".join(refused)
    assert seen > 100, "the sweep must have found the imports"


def test_every_area_is_in_the_table():
    areas = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in FILES}
    assert areas <= set(ALLOWED) | {"cli", "workflows"}


def test_the_document_states_the_same_table():
    text = (PACKAGE.parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.partition("| package or module |")[2].partition("\n\n")[0]
    rows = [line.strip("|").split(" | ") for line in table.splitlines()[2:]]
    stated = {
        area: set(row[-1].strip().replace("-", "").split(", ")) - {""}
        for row in rows
        for area in re.findall(r"`(\w+)`", row[0])
    }
    assert stated.pop("cli") == {"everything; nothing but __main__ imports it"}
    assert stated.pop("workflows") == {"everything but cli"}
    # Above the table the document allows `BASE` to all.
    assert {area: names - BASE for area, names in stated.items()} == {
        area: names - BASE for area, names in ALLOWED.items()
    }
    modules = {path.stem for path in (PACKAGE / "workflows").glob("*.py")} - {"__init__"}
    (row,) = (row[1] for row in rows if row[0].strip() == "`workflows`")
    assert modules == set(re.findall(r"`(\w+)`", row)) - {"torchrun"}, "the row names every module"


def test_nothing_imports_the_command():
    importers = {
        name_of(path) for path in FILES for _, name in own_imports(path) if name.split(".")[0] == "cli"
    }
    assert {name for name in importers if not name.startswith("cli")} == {"__main__"}
    root = PACKAGE.parents[1]
    programs = [path for folder in ("benchmarks", "scripts") for path in (root / folder).glob("*.py")]
    guilty = [path.name for path in programs for _, name in own_imports(path) if name.split(".")[0] == "cli"]
    assert not guilty and len(programs) > 5


def test_every_file_of_the_command_is_a_verb_or_prints():
    from starktrack.cli.main import VERBS

    files = {path.stem for path in (PACKAGE / "cli").glob("*.py")} - {"__init__", "main"}
    assert files - set(VERBS) == PRINTING


def modules_below(prefix: str) -> list[str]:
    names = [name_of(path) for path in FILES]
    return [name for name in names if name == prefix or name.startswith(f"{prefix}.")]


def closure(start: list[str]) -> dict[str, str]:
    """Return every module of ours that importing these ones imports, and who asked for it first."""
    paths = {name_of(path): path for path in FILES}
    asked_by, queue = dict.fromkeys(start, ""), list(start)
    while queue:
        module = queue.pop()
        for _, name in own_imports(paths[module], at_import_only=True):
            target = name if name in paths else name.rpartition(".")[0]
            if target in paths and target not in asked_by:
                asked_by[target] = module
                queue.append(target)
    return asked_by


@pytest.mark.parametrize("area", WITHOUT_TORCH)
def test_no_file_of_these_areas_reaches_torch(area):
    # The verbs import what they need when they run.
    start = ["cli.main"] if area == "cli" else modules_below(area)
    paths = {name_of(path): path for path in FILES}
    reached = closure(start)
    guilty = [
        f"{module} (asked for by {asked_by or 'itself'}) imports {name}"
        for module, asked_by in reached.items()
        for _, name in imports_of(paths[module], at_import_only=True)
        if name.split(".")[0] in ("torch", "torchvision", "timm")
    ]
    assert start and not guilty, "\n".join(guilty)


def test_importing_them_leaves_torch_out_of_the_process():
    names = [f"starktrack.{name}" for area in WITHOUT_TORCH if area != "cli" for name in modules_below(area)]
    program = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'torchvision', 'timm'}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment()
    )
    assert (run.returncode, run.stdout.strip()) == (0, "[]"), run.stderr
    assert len(names) > 40


def test_importing_the_package_imports_nothing_heavy():
    program = (
        "import sys, starktrack, starktrack.cli.main\n"
        "heavy = {'torch', 'cv2', 'numpy', 'av', 'pydantic'}\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & heavy))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment()
    )
    assert (run.returncode, run.stdout.strip()) == (0, "[]"), run.stderr


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
