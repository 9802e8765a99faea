"""Small files under the names that the pages use: a clip, pictures, a benchmark, a VOT workspace, weights."""

import shutil

import cv2
import torch

from starktrack.data.synthetic.clip import synthetic_clip
from starktrack.data.video.writer import VideoWriter


def write_clip(folder):
    with VideoWriter(folder / "dog.mp4", (240, 320), 12.5) as writer:
        for frame in synthetic_clip(8, size_hw=(240, 320)):
            writer.write(frame.image)


def write_pictures(folder, *, num_frames=8, size_hw=(240, 320), seed=0, first=0, name="{:04d}.png"):
    folder.mkdir(parents=True)
    boxes = []
    for index, frame in enumerate(synthetic_clip(num_frames, size_hw=size_hw, seed=seed)):
        cv2.imwrite(str(folder / name.format(index + first)), frame.image[..., ::-1])
        boxes.append(frame.box_xywh)
    return boxes


def write_lines(path, boxes):
    path.write_text("".join(",".join(f"{value:g}" for value in box) + "\n" for box in boxes))


def write_benchmark(folder):
    for seed, name in enumerate(("Basketball", "Biker")):
        place = folder / "data" / "otb" / name
        boxes = write_pictures(
            place / "img", num_frames=4, size_hw=(120, 160), seed=seed, first=1, name="{:04d}.jpg"
        )
        write_lines(place / "groundtruth_rect.txt", boxes)


def write_own_videos(folder):
    for seed, name in enumerate(("dog", "horse", "bird", "fish", "car", "boat", "ball", "cat")):
        place = folder / "data" / "mine" / name
        boxes = write_pictures(
            place, num_frames=10, size_hw=(120, 160), seed=seed, first=1, name="{:08d}.jpg"
        )
        write_lines(place / "groundtruth.txt", boxes)


def write_workspace(folder):
    place = folder / "workspace" / "sequences" / "clip"
    boxes = write_pictures(place / "color", num_frames=4, size_hw=(90, 120), first=1, name="{:08d}.jpg")
    write_lines(place / "groundtruth.txt", boxes)
    (place / "sequence").write_text("channels.color=color/%08d.jpg\nwidth=120\nheight=90\n")
    (place / "anchor.value").write_text("1\n0\n0\n-1\n")
    (place.parent / "list.txt").write_text("clip\n")


def write_authors_checkpoint(folder, official_state):
    # The smallest published network; which one a file holds is read from the file, not from its name.
    torch.save({"net": official_state("stark_lightning")}, folder / "STARKST_ep0050.pth.tar")


def write_weights(place, small_checkpoint):
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(small_checkpoint, place)
