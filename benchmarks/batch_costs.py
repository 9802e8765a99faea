"""What a batch costs: hours, money and requests for a number of videos, from the summary of a batch that was run.

    python benchmarks/batch_costs.py SUMMARY.csv [--videos 1000000] [--cores 1] [--price 0.04] [--workers 100]
        [--megabytes 5] [--get-price 0.0004] [--tracks-kilobytes 20]

`SUMMARY.csv` is that of `starktrack batch`; it says how many frames and seconds every video took. docs/batch.md has the
formulas. Prices are those of your contract; the defaults only make the arithmetic visible.
"""

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

BLOCK_MEGABYTES = 1.048576
"""What one request to an object store asks for (`data.video.remote`)."""


@dataclass(frozen=True)
class Measured:
    """What a batch took.

    Attributes:
        videos: Videos that were done.
        frames: Frames in all of them.
        busy_seconds: Seconds of workers, reading included.
        mean_seconds: Of a video.
        longest_seconds: Of the slowest video.
    """

    videos: int
    frames: int
    busy_seconds: float
    mean_seconds: float
    longest_seconds: float


def measured(summary: Path) -> Measured:
    """Return what the done rows of a summary took."""
    with summary.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["state"] == "done"]
    seconds = np.array([float(row["seconds"]) for row in rows])
    frames = sum(int(row["frames"]) for row in rows)
    return Measured(len(rows), frames, float(seconds.sum()), float(seconds.mean()), float(seconds.max()))


def plan(
    run: Measured,
    *,
    videos: int,
    workers: int,
    cores: float,
    price: float,
    rate: float,
    megabytes: float,
    get_price: float,
    tracks_kilobytes: float,
) -> dict[str, float]:
    """Return the figures by name, in the order in which docs/batch.md derives them.

    Args:
        run: What was measured.
        videos: How many are to be tracked, like those that were measured.
        workers: Processes at a time.
        cores: Cores, or GPUs, of a worker.
        price: Of a core, or a GPU, for an hour.
        rate: Frames per second of the videos, for hours of video.
        megabytes: Of a video in the object store.
        get_price: Of 1,000 requests.
        tracks_kilobytes: Of a result file.
    """
    speed = run.frames / run.busy_seconds
    worker_hours = videos * run.mean_seconds / 3600
    video_hours = videos * run.frames / run.videos / rate / 3600
    requests = videos * max(1.0, np.ceil(megabytes / BLOCK_MEGABYTES))
    money = worker_hours * cores * price
    return {
        "frames/s of a worker": speed,
        "hours of video": video_hours,
        "hours of workers": worker_hours,
        "hours until done, no stragglers": worker_hours / workers,
        "hours until done, at most": worker_hours / workers + run.longest_seconds / 3600,
        "money": money,
        "money for 1,000 hours of video": 1000 * money / video_hours,
        "requests": requests,
        "money for requests": requests / 1000 * get_price,
        "megabytes/s from the store": workers * megabytes / run.mean_seconds,
        "result files/s": workers / run.mean_seconds,
        "gigabytes of results": videos * tracks_kilobytes / 1e6,
    }


def main() -> None:
    """Print the plan."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("summary", type=Path)
    parser.add_argument("--videos", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--cores", type=float, default=1)
    parser.add_argument("--price", type=float, default=0.04)
    parser.add_argument("--rate", type=float, default=30)
    parser.add_argument("--megabytes", type=float, default=5)
    parser.add_argument("--get-price", type=float, default=0.0004)
    parser.add_argument("--tracks-kilobytes", type=float, default=20)
    options = vars(parser.parse_args())
    run = measured(options.pop("summary"))
    print(f"measured: {run.videos} videos, {run.frames} frames, {run.busy_seconds:.1f} seconds of workers")
    for name, value in plan(run, **options).items():
        print(f"{name:34} {value:16,.2f}")


if __name__ == "__main__":
    main()
