"""What every source file has, and what none has."""

import ast
import io
import re
import tokenize
from importlib import import_module
from pathlib import Path

import pytest

import starktrack

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "src").rglob("*.py"))
MAX_LINES = 400


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_are_files_to_look_at():
    assert len(FILES) > 80


def test_every_module_says_which_idea_lives_there():
    without = [
        shown(path) for path in FILES if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert without == []


def test_no_file_holds_two_ideas():
    long = {
        shown(path): count
        for path in FILES
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    }
    assert long == {}


def test_no_file_has_an_empty_name():
    forbidden = {"utils", "util", "misc", "common", "helpers", "helper"}
    assert [shown(path) for path in FILES if path.stem in forbidden or path.parent.name in forbidden] == []


def test_nothing_is_left_for_later():
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK|for now)\b")
    left = []
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type in (tokenize.COMMENT, tokenize.STRING) and marks.search(token.string):
                left.append(f"{shown(path)}:{token.start[0]}")
    assert left == []


def test_only_the_command_prints():
    printing = [
        f"{shown(path)}:{node.lineno}"
        for path in FILES
        if "cli" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("print", "sys.stdout.write", "sys.stderr.write")
    ]
    assert printing == []


def test_nothing_is_caught_without_a_name():
    broad = [
        f"{shown(path)}:{node.lineno}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
        and not any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
    ]
    assert broad == []


def test_only_weights_are_unpickled_and_only_as_tensors():
    calls = [
        f"{shown(path)}:{node.lineno}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("torch.load", "pickle.load", "pickle.loads", "pickle.Unpickler")
        and not any(
            keyword.arg == "weights_only" and ast.unparse(keyword.value) == "True"
            for keyword in node.keywords
        )
    ]
    assert calls == []


PUBLIC = [
    "AnnotationError",
    "BatchRun",
    "BoxError",
    "BoxQueries",
    "CheckpointError",
    "Config",
    "ConfigError",
    "ConvertedCheckpoint",
    "DatasetError",
    "DeviceError",
    "Engine",
    "EvaluationRun",
    "Explained",
    "ExportedNetwork",
    "Frame",
    "FrameSource",
    "FrameStream",
    "InputError",
    "LiveEvent",
    "LiveEventKind",
    "LiveHealth",
    "LiveSettings",
    "MissingExtraError",
    "NothingUsableError",
    "PluginTracker",
    "Prediction",
    "Profile",
    "Refinement",
    "Refiner",
    "Report",
    "ResultFileError",
    "SourceWarning",
    "StarktrackError",
    "Submission",
    "TargetState",
    "TrackOutput",
    "TrackedFrame",
    "Tracker",
    "TrackerSpec",
    "TrackingConfig",
    "TrainingError",
    "TrainingRun",
    "UnsafeCheckpointError",
    "VideoBrokenError",
    "VideoError",
    "VideoSequence",
    "batch",
    "convert",
    "evaluate",
    "explain",
    "export",
    "from_detections",
    "from_pretrained",
    "load",
    "open_frames",
    "profile",
    "push",
    "report",
    "submit",
    "to_detections",
    "track",
    "train",
]


def test_the_public_names_are_these():
    assert starktrack.__all__ == sorted(starktrack.__all__) == PUBLIC == dir(starktrack)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_comes_from_its_home_with_a_docstring(name):
    thing = getattr(starktrack, name)
    home = import_module(thing.__module__)
    assert getattr(home, name) is thing
    assert thing.__doc__


def test_another_name_is_refused_as_python_does():
    with pytest.raises(AttributeError, match="module 'starktrack' has no attribute 'Trackr'"):
        starktrack.Trackr  # noqa: B018


def test_the_version_is_the_packages():
    assert f'version = "{starktrack.__version__}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def python_blocks(path: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_every_python_example_of_the_documents_compiles_and_asks_for_public_names():
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for number, block in enumerate(python_blocks(path)):
            tree = ast.parse(block, f"{path.name} block {number}")
            for node in ast.walk(tree):
                if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "starktrack":
                    assert node.attr in PUBLIC, f"{path.name} block {number}: starktrack.{node.attr}"


def test_no_file_names_a_registry_host_or_a_path_of_a_machine():
    places = "|".join(f"/{name}/" for name in (r"home/\w+", "root", "tmp", "work"))
    suspicious = re.compile(rf"py{'pi'}\.org|python{'hosted'}|{places}")
    kinds = {".py", ".md", ".toml", ".txt", ".sh", ""}
    folders = [ROOT / name for name in ("src", "docs", "scripts", ".ci")]
    files = [
        path for folder in folders for path in folder.rglob("*") if path.is_file() and path.suffix in kinds
    ]
    files += [path for path in ROOT.iterdir() if path.is_file() and path.suffix in kinds - {""}]
    named = [shown(path) for path in files if suspicious.search(path.read_text(encoding="utf-8"))]
    assert len(files) > 80 and named == []
