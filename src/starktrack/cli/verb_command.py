"""How every verb reads its arguments and names them in errors."""

import re
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from starktrack.errors import StarktrackError

_PLACES = ("FILE", "DIR")
"""Words for the value of an option that names a file or a folder."""


class VerbCommand(TyperCommand):
    """A verb that refuses what would be ignored, and whose errors speak of options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Return what is left of the arguments, after checks of our own.

        An option that names a file or a folder may be given once: of two files only the last would be written or
        read. Other options may be given again, and the last counts, so that an alias can be overridden.
        """
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for param, count in Counter(given).items():
            if (
                param.param_type_name == "option"
                and param.metavar in _PLACES
                and count > 1
                and not param.multiple
            ):
                ctx.fail(f"{param.opts[0]} takes one place, got {count}; leave out the others")
        ctx.allow_extra_args = True
        rest = super().parse_args(ctx, args)
        if rest and not ctx.resilient_parsing:
            are_files = all(Path(each).exists() for each in rest)
            hint = "; put a pattern in quotes so that the shell does not expand it: 'frames/*.png'"
            shown = " ".join(rest[:3]) + (f" and {len(rest) - 3} more" if len(rest) > 3 else "")
            ctx.fail(f"got too many arguments: {shown}{hint if are_files else ''}")
        return rest

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; in errors of ours the names of Python's arguments become those of the options.

        A file that was there before and is another one afterwards was replaced, which standard error says.
        """
        before = _files(ctx.params)
        try:
            return super().invoke(ctx)
        except StarktrackError as error:
            error.args = (_with_options(str(error), self.params), *error.args[1:])
            raise
        finally:
            after = _files(ctx.params)
            for path, inode in before.items():
                if after.get(path, inode) != inode:
                    sys.stderr.write(f"replaced an older {path}\n")


def _files(params: dict[str, Any]) -> dict[Path, int]:
    """Return the files that are named by these arguments and exist, with what tells one file from another."""
    files = [value for value in params.values() if isinstance(value, Path)]
    found = {}
    for path in files:
        with suppress(OSError):
            if path.is_file():
                found[path] = path.stat().st_ino
    return found


def _with_options(text: str, params: list[Any]) -> str:
    """Return the text of an error in which an option stands for the argument that it sets.

    Only names that are no words of English, and that are not part of a path, a key or a quoted text.
    """
    for param in params:
        if param.param_type_name != "option":
            continue
        option = param.opts[0]
        names = [f"{param.name}_seconds", *([param.name] if "_" in (param.name or "") else [])]
        for name in names:
            text = re.sub(rf"(?<![\w.\-'\"/]){re.escape(name)}(?![\w.\-'\"/]|=)", option, text)
    return text
