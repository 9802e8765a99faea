"""A tour of the library in five steps, by its public names alone: track, evaluate, train, export, track again.

    python examples/tour.py [FOLDER]

Everything is made and written below FOLDER (`tour` by default) and nothing is downloaded, so it runs anywhere in about
a minute. Training and export need the extras: `pip install ".[export]"` in a clone. Cells are marked with `# %%`, so
that notebooks and editors open it as one.
"""

# %% Make a small data set: videos as folders of pictures, and a box a frame in groundtruth.txt.
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np

import starktrack

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "tour")
shutil.rmtree(folder, ignore_errors=True)
size_hw, num_frames = (120, 160), 24


def write_video(path: Path, seed: int) -> None:
    """Write a textured square that moves over noise, and where it is."""
    rng = np.random.default_rng(seed)
    background = cv2.GaussianBlur(rng.integers(0, 256, (*size_hw, 3), np.uint8), (0, 0), 5)
    texture = cv2.resize(rng.integers(0, 256, (4, 4, 3), np.uint8), (32, 32), interpolation=cv2.INTER_NEAREST)
    path.mkdir(parents=True)
    lines = []
    for index in range(num_frames):
        x, y = 20 + 3 * index, 30 + index
        image = background.copy()
        image[y : y + 32, x : x + 32] = texture
        cv2.imwrite(str(path / f"{index + 1:08d}.png"), image)
        lines.append(f"{x},{y},32,32\n")
    (path / "groundtruth.txt").write_text("".join(lines))


for seed in range(3):
    write_video(folder / "data" / f"video{seed}", seed)
video, box = folder / "data" / "video0", (20, 30, 32, 32)

# %% Track a video. `stark_mobile` comes with the package; a record a frame holds the picture and the outputs.
for tracked in starktrack.track(video, box):
    output = tracked.output
    if tracked.index % 8 == 0:
        print(tracked.index, output.box_xywh.round(1), output.score, output.state)

# %% Frame by frame, from pictures of OpenCV; a second target joins on the way, and how to track is a setting.
tracker = starktrack.load(color="bgr", settings={"lost_after": 3})
pictures = [cv2.imread(str(path)) for path in sorted(video.glob("*.png"))]
tracker.start(pictures[0], box)
for index, picture in enumerate(pictures[1:], start=1):
    outputs = tracker.update_all(picture)
    if index == 4:
        tracker.add(picture, (32, 34, 16, 16))  # a corner of the square
print({target: output.to_dict() for target, output in outputs.items()})

# %% Evaluate the package's weights on the data set. The same call goes on where an earlier one stopped.
run = starktrack.evaluate("videos", folder / "data", ["stark_mobile"], out=folder / "results", device="cpu")
print(f"AUC {run.evaluations[0].overall('auc'):.3f} on {', '.join(run.names)}")

# %% Train ten steps from the package's weights. A real run has a larger batch, real video, and days.
(folder / "recipe.toml").write_text(
    """
config = "stark_mobile"

[run]
batch_size = 2
micro_batch = 2
samples_per_epoch = 20
log_every = 1
imagenet = false

[datasets.own]
source = "videos"
split = "all"

[stages.localise]
epochs = 1

[stages.localise.loss]
corner = 0.5
centre = 0.5

[stages.localise.data.sampling]
min_length = 5

[stages.localise.data.loader]
num_workers = 0
"""
)
losses = []
trained = starktrack.train(
    folder / "recipe.toml",
    data=folder / "data",
    out=folder / "run",
    weights="stark_mobile",
    device="cpu",
    on_record=losses.append,
)
print(f"trained {len(losses)} records; weights in {trained.weights}")

# %% Export: one ONNX file that runs without PyTorch, written only if it finds the boxes that PyTorch finds.
exported = starktrack.export(trained.weights, folder / "mine.onnx")
print(f"corners within {exported.corner_difference:.1e} crops of PyTorch's")

# %% Track with it.
boxes = [tracked.output.box_xywh for tracked in starktrack.track(video, box, weights=folder / "mine.onnx")]
print(f"tracked {len(boxes)} frames; the last box is {boxes[-1].round(1)}")
