"""`starktrack batch`: track every video of a list, and go on where an earlier run stopped."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from starktrack.cli.batch_table import BatchTable
from starktrack.cli.interrupts import interruptible
from starktrack.cli.options import (
    ComparedEngineOption,
    Device,
    DeviceOption,
    EngineName,
    RefineOption,
    SetOption,
)
from starktrack.cli.tables import print_error
from starktrack.pretrained import DEFAULT


class Place(StrEnum):
    """Where the workers are."""

    local = "local"
    ray = "ray"


def batch(
    manifest: Annotated[
        Path,
        typer.Argument(
            metavar="MANIFEST",
            help="CSV, JSON lines or Parquet with the columns video, boxes and, as wanted, start, end, direction, "
            "label, id.",
        ),
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where results go; a run goes on with what is there.")
    ],
    tracker: Annotated[
        str,
        typer.Option(
            "--weights",
            metavar="FILE",
            help="Checkpoint, exported network, the name of weights of the package, or module:factory of your own.",
        ),
    ] = DEFAULT,
    refine: RefineOption = None,
    workers: Annotated[
        int, typer.Option(metavar="N", min=0, help="Processes; 0: as many as the cores or GPUs allow.")
    ] = 0,
    threads: Annotated[int, typer.Option(metavar="T", min=1, help="Cores of each process.")] = 1,
    together: Annotated[
        int,
        typer.Option(metavar="B", min=0, help="Videos in one forward pass; 0: 1 on a CPU, 16 on a GPU."),
    ] = 0,
    device: DeviceOption = Device.auto,
    engine: ComparedEngineOption = EngineName.auto,
    overrides: SetOption = None,
    format: Annotated[
        str, typer.Option(metavar="FORMAT", help="Of the results: csv, json, txt, cvat, mot, coco, yolo, ...")
    ] = "csv",
    retries: Annotated[
        int, typer.Option(metavar="N", min=0, help="How often a video that failed is tried again.")
    ] = 2,
    parquet: Annotated[bool, typer.Option("--parquet", help="Write the summary as Parquet too.")] = False,
    on: Annotated[Place, typer.Option(help="Processes of this machine, or a Ray cluster.")] = Place.local,
    address: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Of a running Ray cluster; auto: the one of this machine."),
    ] = None,
) -> None:
    """Track every video of a list; a video that fails stops no other.

    Ctrl-C stops it; the same command goes on with what is not done. It exits with 1 when a video failed.
    """
    from starktrack.workflows.batch import batch as track_all

    with interruptible(), BatchTable(str(manifest)) as table:
        run = track_all(
            manifest,
            out,
            tracker=tracker,
            refine=refine,
            workers=workers,
            threads=threads,
            together=together,
            device=device.value,
            engine=engine.value,
            overrides=overrides or (),
            format=format,
            retries=retries,
            parquet=parquet,
            on=on.value,
            address=address,
            on_status=table,
        )
    failed = [row for row in run.rows if row.state == "failed"]
    # On a terminal the table with the latest failures is gone by now; elsewhere each had its line when it happened.
    for row in failed if table.is_live else ():
        print_error(f"failed: {row.id}: {row.error}")
    done = len(run.rows) - len(failed)
    before = f", {run.finished_before} of them before" if run.finished_before else ""
    again = f"; {len(failed)} failed, the same command tries them again" if failed else ""
    print_error(
        f"{done} of {len(run.rows)} videos are done{before}{again}; {table.speed}; wrote {run.summary}"
    )
    if run.has_failed:
        raise typer.Exit(1)
