"""Speed of the engines on one machine: networks alone, end to end from an mp4, and the start of the command.

    python benchmarks/engines.py [--rows network mobile targets start video] [--engines torch onnx openvino]
        [--precisions float32 bfloat16] [--rounds 5] [--frames 60] [--threads 0] [--int8 FILE] [--s50 FILE]

Run by a person, in a quiet moment; all rows take about five minutes on two cores. Within a row the contestants take
turns in every round, so that a change of the machine's speed meets all; printed are median and spread (lowest to
highest) over the rounds, after one round to warm up, and the ratio to the first contestant.

| row | what |
|---|---|
| `network` | `stark_s50` with random weights and `stark_mobile`: one search region, milliseconds |
| `mobile` | `stark_mobile` from an mp4 of 640 x 480 pixels: decode, crop, network, frames/s |
| `targets` | the same with 8 and with 50 targets |
| `start` | `starktrack track` of two frames, a new process each, seconds; the first round filled the cache |
| `video` | `starktrack track --save` with and without `--video`, frames/s of the whole command |

The published code needs 129.6 ms for `stark_s50` where torch needs 104.3, by an earlier measurement of both: take 1.24
times the torch row for it.
"""

import argparse
import importlib.metadata
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from conditions import conditions

import starktrack
from starktrack.api import load_engine
from starktrack.config.presets import preset
from starktrack.data.frames import open_frames
from starktrack.data.synthetic.clip import synthetic_clip
from starktrack.data.video.writer import VideoWriter
from starktrack.engines.torch_engine import TorchEngine
from starktrack.models.build import build_network
from starktrack.tracking.protocol import BoxQueries
from starktrack.tracking.tracker import Tracker

SIZE_HW = (480, 640)
ROWS = ("network", "mobile", "targets", "start", "video")

Measure = Callable[[], float]
"""Does the work once and returns the number that is compared."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS)
    parser.add_argument("--engines", nargs="+", default=["torch", "onnx", "openvino"])
    parser.add_argument("--precisions", nargs="+", default=["float32"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument(
        "--int8", type=Path, help="stark_mobile in int8, see starktrack export --precision int8"
    )
    parser.add_argument("--s50", type=Path, help="stark_s50 that was exported already, which saves a minute")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    print(f"{conditions()}, openvino {_version('openvino')}")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        video, box = _write_clip(place, options.frames)
        for row in options.rows:
            {"network": _network, "mobile": _mobile, "targets": _targets, "start": _start, "video": _video}[
                row
            ](options, place, video, box)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _write_clip(folder: Path, num_frames: int) -> tuple[Path, list[float]]:
    first: list[float] = []
    with VideoWriter(folder / "clip.mp4", SIZE_HW, 30.0) as writer:
        for frame in synthetic_clip(num_frames, size_hw=SIZE_HW):
            first = first or frame.box_xywh.tolist()
            writer.write(frame.image)
    return folder / "clip.mp4", first


def _mobile_engines(options: argparse.Namespace) -> dict[str, starktrack.Engine]:
    found: dict[str, starktrack.Engine] = {}
    for name in options.engines:
        for precision in options.precisions if name == "openvino" else ["float32"]:
            found[f"{name} {precision}"] = load_engine(
                "stark_mobile", engine=name, precision=precision, device="cpu", threads=options.threads
            )
        if options.int8 and name != "torch":
            found[f"{name} int8"] = load_engine(weights=options.int8, engine=name, threads=options.threads)
    return found


def _s50_engines(options: argparse.Namespace, folder: Path) -> dict[str, starktrack.Engine]:
    torch.manual_seed(0)
    config = preset("stark_s50")
    engine = TorchEngine(build_network(config.model), config, device=torch.device("cpu"))
    found: dict[str, starktrack.Engine] = {}
    if "torch" in options.engines:
        found["torch float32"] = engine
    exported = [name for name in options.engines if name != "torch"]
    if exported:
        file = options.s50 or folder / "s50.onnx"
        if options.s50 is None:
            starktrack.export("stark_s50", file)
        for name in exported:
            for precision in options.precisions if name == "openvino" else ["float32"]:
                found[f"{name} {precision}"] = load_engine(
                    weights=file, engine=name, precision=precision, threads=options.threads
                )
    return found


def _network(options: argparse.Namespace, folder: Path, video: Path, box: Sequence[float]) -> None:
    with open_frames(str(video)) as frames:
        image = frames.peek().image
    queries = BoxQueries([image], np.zeros(1, np.int64), np.array([box]))
    for model, engines in (
        ("stark_s50", _s50_engines(options, folder)),
        ("stark_mobile", _mobile_engines(options)),
    ):
        contestants = {name: _one_region(engine, queries) for name, engine in engines.items()}
        _report(f"{model}, one search region", contestants, options.rounds * 3, "ms", lower_is_better=True)


def _one_region(engine: starktrack.Engine, queries: BoxQueries) -> Measure:
    crops = engine.config.model.crops
    templates = [engine.embed(queries) * crops.num_templates]
    cut = engine.crop(queries, crops.search)

    def measure() -> float:
        start = time.perf_counter()
        engine.locate(*cut, templates)
        return 1000 * (time.perf_counter() - start)

    return measure


def _mobile(options: argparse.Namespace, folder: Path, video: Path, box: Sequence[float]) -> None:
    contestants = {
        name: _end_to_end(engine, video, [box]) for name, engine in _mobile_engines(options).items()
    }
    _report("stark_mobile end to end, one target", contestants, options.rounds, "frames/s")


def _targets(options: argparse.Namespace, folder: Path, video: Path, box: Sequence[float]) -> None:
    for count, rounds in ((8, options.rounds), (50, 1)):
        contestants = {
            name: _end_to_end(engine, video, [box] * count, options.frames if count == 8 else 6)
            for name, engine in _mobile_engines(options).items()
        }
        _report(f"stark_mobile end to end, {count} targets", contestants, rounds, "frames/s")


def _end_to_end(
    engine: starktrack.Engine, video: Path, boxes: Sequence[Sequence[float]], most: int | None = None
) -> Measure:
    def measure() -> float:
        start, count = time.perf_counter(), 0
        with open_frames(str(video)) as frames:
            for count, _ in enumerate(Tracker(engine).track(frames, list(boxes)), start=1):
                if count == most:
                    break
        return count / (time.perf_counter() - start)

    return measure


def _start(options: argparse.Namespace, folder: Path, video: Path, box: Sequence[float]) -> None:
    short, _ = _write_short(folder)
    contestants = {name: _command(name, short, box, folder, ()) for name in options.engines}
    _report("track of two frames, a new process", contestants, options.rounds, "s", lower_is_better=True)


def _write_short(folder: Path) -> tuple[Path, list[float]]:
    (folder / "short").mkdir(exist_ok=True)
    return _write_clip(folder / "short", 2)


def _video(options: argparse.Namespace, folder: Path, video: Path, box: Sequence[float]) -> None:
    with open_frames(str(video)) as frames:
        count = sum(1 for _ in frames)
    contestants = {}
    for name in options.engines:
        for label, extra in (("without --video", ()), ("with --video", ("--video", str(folder / "out.mp4")))):
            seconds = _command(name, video, box, folder, extra)
            contestants[f"{name} {label}"] = lambda seconds=seconds: count / seconds()
    _report("track, the whole command", contestants, options.rounds, "frames/s")


def _command(engine: str, video: Path, box: Sequence[float], folder: Path, extra: Sequence[str]) -> Measure:
    words = [sys.executable, "-m", "starktrack", "track", str(video), "--box", ",".join(map(str, box))]
    words += ["--device", "cpu", "--engine", engine, "--save", str(folder / "boxes.csv"), *extra]

    def measure() -> float:
        start = time.perf_counter()
        subprocess.run(words, check=True, capture_output=True)
        return time.perf_counter() - start

    return measure


def _report(
    title: str, contestants: dict[str, Measure], rounds: int, unit: str, *, lower_is_better: bool = False
) -> None:
    values: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, measure in contestants.items():
            value = measure()
            if number:
                values[name].append(value)
    print(f"\n{title}, {unit}, {rounds} rounds")
    medians = {name: statistics.median(each) for name, each in values.items()}
    first = next(iter(medians.values()))
    for name, each in values.items():
        ratio = first / medians[name] if lower_is_better else medians[name] / first
        print(f"  {name:24} {medians[name]:8.2f} ({min(each):.2f} to {max(each):.2f})  {ratio:5.2f} x")


if __name__ == "__main__":
    main()
