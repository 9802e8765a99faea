"""`starktrack demo`: a clip, a tracker, a picture; no download, no GPU."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the video and the pictures go.")] = Path(
        "demo"
    ),
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Track an object made by arithmetic instead; each number gives another."),
    ] = None,
) -> None:
    """Track a helicopter in a real clip with the weights of the package, and show the result."""
    from starktrack.workflows.demo import demo, made_clip, real_clip

    found = demo(out, real_clip() if seed is None else made_clip(seed))
    sys.stdout.write(
        f"tracked {found.num_frames} frames, mean overlap {found.mean_overlap:.3f}, "
        f"worst frame {found.worst_overlap:.3f} ({found.num_labelled} labelled frames)\n"
        f"look at {found.video} and {found.strip}\n"
    )
