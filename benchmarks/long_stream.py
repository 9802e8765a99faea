"""Track a video of 100,000 frames and plot the memory that the process takes.

    python benchmarks/long_stream.py --frames 100000 --weights tiny.onnx --plot docs/images/long-stream.svg

The frames are tiny and the weights may be any, because what could grow does not depend on either: the decoder, the
tracker's state, and the result file. Memory is the resident set, read every 1000 frames.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import av
import numpy as np

import starktrack
from starktrack.data.formats.result_files import ResultWriter

SIZE_WH = (64, 48)
EVERY = 1000


def write_video(path: Path, num_frames: int) -> None:
    """Write a square that moves over noise."""
    noise = np.random.default_rng(0).integers(0, 60, (*SIZE_WH[::-1], 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height = SIZE_WH
        for index in range(num_frames):
            image = noise.copy()
            x, y = 8 + index % 32, 8 + (index // 3) % 20
            image[y : y + 12, x : x + 12] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode())


def resident_mib() -> float:
    """Return the memory of this process."""
    line = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")
    )
    return int(line.split()[1]) / 1024


def measure(num_frames: int, weights: str | None, out: Path | None) -> list[tuple[int, float]]:
    """Return frame and memory, MiB, every `EVERY` frames of a tracked video."""
    points = []
    with tempfile.TemporaryDirectory() as folder:
        write_video(Path(folder) / "long.mp4", num_frames)
        with ResultWriter(Path(folder) / "boxes.csv") as results:
            for tracked in starktrack.track(
                Path(folder) / "long.mp4", (8, 8, 12, 12), weights=weights, settings={"update_interval": 25}
            ):
                results.write(tracked.output)
                if tracked.index % EVERY == 0:
                    points.append((tracked.index, resident_mib()))
                    if out is not None:
                        out.write_text(json.dumps(points))
    return points


def plot(points: list[tuple[int, float]], path: Path) -> None:
    """Write the curve as a picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 2.4), layout="constrained")
    axes.plot(*zip(*points, strict=True), color="#0072B2", linewidth=1.5)
    axes.set(xlabel="frame", ylabel="memory, MiB", ylim=(0, 1.3 * max(memory for _, memory in points)))
    axes.grid(alpha=0.3)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    """Measure, and write numbers and plot."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--weights")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    began = time.monotonic()
    points = measure(options.frames, options.weights, options.out)
    if options.plot is not None:
        plot(points, options.plot)
    early, late = points[min(10, len(points) - 1)][1], points[-1][1]
    print(
        f"{options.frames} frames in {time.monotonic() - began:.0f} s: {early:.1f} MiB at frame "
        f"{points[min(10, len(points) - 1)][0]}, {late:.1f} MiB at frame {points[-1][0]}"
    )


if __name__ == "__main__":
    main()
