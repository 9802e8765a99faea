"""The command: verbs, and what happens when one fails."""

import sys

import typer

from starktrack.cli.convert import convert
from starktrack.cli.demo import demo
from starktrack.cli.doctor import doctor
from starktrack.cli.evaluate import evaluate
from starktrack.cli.models import models
from starktrack.cli.profile import profile
from starktrack.cli.track import track
from starktrack.cli.vot import app as vot
from starktrack.errors import StarktrackError

app = typer.Typer(
    name="starktrack",
    help="Point at anything in the first frame of a video; get its box in every later frame.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (track, evaluate, demo, models, convert, profile, doctor):
    app.command()(verb)
app.add_typer(vot, name="vot")


def main() -> None:
    """Run the command; errors of ours are one line on standard error and exit code 1."""
    try:
        app()
    except StarktrackError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)
