"""The two references: the command's, made from the command, and the API's, made from the public names.

A page holds `<!-- reference: command -->` or `<!-- reference: MODULE -->`; the text takes its place when Sphinx reads
the page.
"""

import inspect
import re
import sys
from importlib import import_module
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.domains.python import PyXRefRole
from sphinx.errors import SphinxError
from sphinx.pycode import ModuleAnalyzer

NAME = re.compile(r"[A-Za-z_][\w.]*")
PLACE = re.compile(r"^<!-- reference: (\S+) -->$", re.MULTILINE)


def setup(app: Sphinx) -> dict[str, bool]:
    """Fill the places of the references when Sphinx reads a page, and read single backticks of docstrings."""
    app.connect("source-read", _fill)
    app.add_role("name-or-code", _name_or_code)
    return {"parallel_read_safe": True}


def _fill(app: Sphinx, docname: str, source: list[str]) -> None:
    source[0] = PLACE.sub(
        lambda found: command_reference() if found[1] == "command" else module_reference(found[1]), source[0]
    )


def _name_or_code(
    role: str, raw: str, text: str, line: int, inliner: Any, options: Any = None, content: Any = ()
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """Return a link for what may be a name of ours, code for everything else, such as `DIR/<name>.txt`."""
    if NAME.fullmatch(text):
        return PyXRefRole()("py:obj", raw, text, line, inliner, options or {}, content)
    return [nodes.literal(text, text)], []


def command_reference() -> str:
    """Return a section for each verb of `starktrack`: what it does, its arguments and its options."""
    from starktrack.cli.main import VERBS, load_verb

    return "\n\n".join(_command(f"starktrack {name}", load_verb(name), level=2) for name in VERBS)


def _command(path: str, command: Any, *, level: int) -> str:
    context = command.context_class(command, info_name=path)
    lines = [f"{'#' * level} {path.removeprefix('starktrack ')}", ""]
    parameters = [each for each in command.params if each.name != "help" and not each.hidden]
    verbs = getattr(command, "commands", {})
    if not verbs:
        places = [_values(each, context) for each in parameters if each.param_type_name == "argument"]
        lines += ["```text", " ".join([path, *places, "[OPTIONS]"]), "```", ""]
    lines += [_paragraphs(command.help or ""), ""]
    lines += [f"{_parameter(each, context)}\n" for each in parameters]
    lines += [_command(f"{path} {name}", verb, level=level + 1) for name, verb in verbs.items()]
    return "\n".join(lines)


def _parameter(parameter: Any, context: Any) -> str:
    """Return an entry of a definition list: how it is written, what it means, which default it has."""
    if parameter.param_type_name == "argument":
        written = f"`{_values(parameter, context)}`"
    else:
        values = "" if parameter.is_flag else f" {_values(parameter, context)}"
        written = ", ".join(f"`{name}{values}`" for name in (*parameter.opts, *parameter.secondary_opts))
    notes = [_prose(parameter.help or "")]
    default = getattr(parameter.default, "value", parameter.default)
    if parameter.required and parameter.param_type_name == "option":
        notes.append("Required.")
    elif default not in (None, False, "") and parameter.show_default:
        notes.append(f"Default: `{default}`.")
    if parameter.multiple:
        notes.append("May be repeated.")
    return f"{written}\n: {' '.join(note for note in notes if note)}"


def _values(parameter: Any, context: Any) -> str:
    """Return what stands for the value: the name given to it, or its choices."""
    name = parameter.metavar or (
        parameter.name.upper() if parameter.param_type_name == "argument" else parameter.display_type(context)
    )
    return name.strip("<>") + ("..." if parameter.nargs == -1 else "")


def _paragraphs(text: str) -> str:
    return "\n\n".join(_prose(part) for part in inspect.cleandoc(text).split("\n\n"))


def _prose(text: str) -> str:
    """Return help text as one line of Markdown that shows every character as it is, and options as code."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    for index in range(0, len(parts), 2):
        escaped = re.sub(r"([\\<>*_\[\]|#])", r"\\\1", parts[index])
        parts[index] = re.sub(r"(?<![\w-])--[a-z][a-z-]*", r"`\g<0>`", escaped)
    return "".join(parts)


def module_reference(module_name: str) -> str:
    """Return the public names of a module, for autodoc: functions, classes, errors, other values."""
    module = import_module(module_name)
    kinds: dict[str, list[str]] = {"Functions": [], "Classes": [], "Errors": [], "Values": []}
    for name in module.__all__:
        thing = getattr(module, name)
        if inspect.isclass(thing):
            is_error = issubclass(thing, Warning | Exception)
            kind, directive = ("Errors", "autoexception") if is_error else ("Classes", "autoclass")
        else:
            kind, directive = ("Functions", "autofunction") if callable(thing) else ("Values", "py:data")
        full_name = name if directive == "py:data" else f"{module_name}.{name}"
        entry = f".. {directive}:: {full_name}\n"
        if directive == "autoclass":
            entry += "   :members:\n"
        elif directive == "py:data":
            entry += f"\n   {_data_docstring(module_name, name)}\n"
        kinds[kind].append(entry)
    sections = [
        f"## {kind}\n\n```{{eval-rst}}\n.. currentmodule:: {module_name}\n\n" + "\n".join(entries) + "```"
        for kind, entries in kinds.items()
        if entries
    ]
    return f"```{{eval-rst}}\n.. py:module:: {module_name}\n```\n\n" + "\n\n".join(sections)


def _data_docstring(package: str, name: str) -> str:
    """Return the string below a value's assignment, in whichever module of the package assigns it.

    Autodoc looks in the module that the name is imported from, and finds the docstring of the value's type.
    """
    for module in sorted(each for each in sys.modules if each.startswith(package)):
        documented = ModuleAnalyzer.for_module(module).find_attr_docs()
        if ("", name) in documented:
            return " ".join(line.strip() for line in documented["", name]).strip()
    raise SphinxError(f"{package}.{name} must have a docstring below its assignment, got none; write one")
