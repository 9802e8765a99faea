"""The plan of a synthetic video: objects, motions, background and light; `videos` paints it."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float

from starktrack.arrays import Boxes, Image
from starktrack.config.data import SyntheticConfig
from starktrack.data.same_class import TargetsByClass
from starktrack.data.samples.drawing import one_by_one
from starktrack.data.synthetic.cutouts import CutOut, cut_out, mean_colour, recolour
from starktrack.data.synthetic.motion import Poses, draw_poses, excursion, passing, wandering, wave
from starktrack.data.video_sequence import SequenceCollection, VideoSequence
from starktrack.errors import NothingUsableError

MIN_OBJECT_SIDE = 16
"""Smallest object that is cut out of a picture, pixels."""

MAX_ENLARGEMENT = 1.5
"""Largest scale of an object; a larger one would be blurred."""

MAX_DRAWS = 100


@dataclass(frozen=True)
class Layer:
    """One object in a video."""

    cutout: CutOut
    poses: Poses


@dataclass(frozen=True)
class Scene:
    """The data from which any frame of one video is painted.

    Attributes:
        background: The picture behind everything.
        background_poses: How it moves.
        layers: The objects, the rearmost first.
        target: Which layer is the target.
        light: Factor on red, green and blue in each frame.
        exposure: Time that the shutter is open, frames.
        size_wh: Of a frame, pixels.
        origins: The videos or pictures that it is made of.
    """

    background: Image
    background_poses: Poses
    layers: tuple[Layer, ...]
    target: int
    light: Float[np.ndarray, "num_frames 3"]
    exposure: float
    size_wh: tuple[int, int]
    origins: frozenset[str]


def draw_scene(
    objects: SequenceCollection,
    backgrounds: SequenceCollection,
    config: SyntheticConfig,
    rng: np.random.Generator,
    *,
    same_class: TargetsByClass | None = None,
) -> Scene:
    """Return a scene: a target, recoloured copies of it, other objects, perhaps an occluder.

    Args:
        objects: Source of targets and other objects.
        backgrounds: Source of backgrounds.
        config: Settings of the videos.
        rng: The source of randomness.
        same_class: The objects by class, to be passed to every scene; computed here by default.

    Raises:
        DatasetError: A picture cannot be read.
        NothingUsableError: No object in reach is large enough.
    """
    behind = backgrounds[int(rng.integers(len(backgrounds)))]
    background = behind.frames.read(int(rng.integers(len(behind))))
    height, width = background.shape[:2]
    scale = config.side / max(height, width)
    size_wh = max(1, round(width * scale)), max(1, round(height * scale))
    smallest, largest = np.log([config.smallest, config.largest])
    side = float(np.exp(rng.uniform(smallest, largest)) * np.sqrt(size_wh[0] * size_wh[1]))
    target = _harmonised(_draw_cutout(objects, side, rng), background, rng)
    others = _Others(objects, same_class or TargetsByClass(objects), config.same_class, target)
    path = wandering(config.num_frames, size_wh, rng)
    if rng.random() < config.leaving:
        path = path + excursion(config.num_frames, size_wh, 2 * side, rng)
    layers = [*_copies(target, path, size_wh, config, rng), *_draw_beside(others, side, size_wh, config, rng)]
    layers = [layers[position] for position in rng.permutation(len(layers))]
    # The target is in front of some objects and behind others.
    place = int(rng.integers(len(layers) + 1))
    layers.insert(place, Layer(target, _follow(target, path, rng)))
    if rng.random() < config.occlusion:
        occluder = others.draw(side * rng.uniform(0.8, 1.6), rng)
        layers.append(Layer(occluder, _follow(occluder, passing(path, 2.5 * side, rng), rng)))
    return Scene(
        background,
        _background_poses(background, size_wh, config.num_frames, rng),
        tuple(layers),
        place,
        _light(config.num_frames, rng),
        float(rng.uniform(0, config.exposure)),
        size_wh,
        behind.origins.union(*(layer.cutout.origins for layer in layers)),
    )


def true_boxes(scene: Scene) -> Boxes:
    """Return the target's box in each frame, cut at the border; no size where it is outside.

    Occluders do not make the box smaller.
    """
    layer = scene.layers[scene.target]
    corners = layer.poses.to_frame(layer.cutout.outline_xy).clip(0, scene.size_wh)
    low, high = corners.min(axis=1), corners.max(axis=1)
    return np.concatenate([low, high - low], axis=1)


def visible_share(scene: Scene) -> Float[np.ndarray, " num_frames"]:
    """Return the visible share of the target in each frame: inside the frame, and not behind an object."""
    layer = scene.layers[scene.target]
    seeds = layer.poses.to_frame(layer.cutout.seeds_xy)
    seen = ((seeds >= 0) & (seeds < scene.size_wh)).all(axis=2)
    for other in scene.layers[scene.target + 1 :]:
        seen &= ~other.cutout.covers(other.poses.to_cutout(seeds))
    return seen.mean(axis=1)


@dataclass(frozen=True)
class _Others:
    """Objects beside a target, a share of them of its class."""

    objects: SequenceCollection
    same_class: TargetsByClass
    same_class_share: float
    target: CutOut

    def draw(self, side: float, rng: np.random.Generator) -> CutOut:
        # Without a share it draws no number, so that the scenes of other recipes do not change.
        if self.same_class_share and rng.random() < self.same_class_share:
            target = self.target
            other = self.same_class.draw(
                target.object_class, target.origins, rng, fits=lambda each: bool(_is_large(each).any())
            )
            if other is not None:
                return _cut_object(other, int(rng.choice(np.flatnonzero(_is_large(other)))), side, rng)
        return _draw_cutout(self.objects, side, rng)


def _draw_cutout(objects: SequenceCollection, side: float, rng: np.random.Generator) -> CutOut:
    sequence, index = _draw_object(objects, rng)
    return _cut_object(sequence, index, side, rng)


def _cut_object(sequence: VideoSequence, index: int, side: float, rng: np.random.Generator) -> CutOut:
    box = sequence.boxes_xywh[index]
    side = min(side, MAX_ENLARGEMENT * float(np.sqrt(box[2] * box[3])))
    mask = sequence.masks.read(index) if sequence.masks else None
    image = sequence.frames.read(index)
    cutout = cut_out(image, box, mask, side=side, roundness=float(rng.uniform(2, 5)))
    return replace(cutout, origins=sequence.origins, object_class=sequence.object_class)


def _draw_object(objects: SequenceCollection, rng: np.random.Generator) -> tuple[VideoSequence, int]:
    for _ in range(MAX_DRAWS):
        sequence = objects[int(rng.integers(len(objects)))]
        index = int(rng.integers(len(sequence)))
        if _is_large(sequence)[index]:
            return sequence, index
    for position in one_by_one(objects, rng):
        sequence = objects[position]
        large = np.flatnonzero(_is_large(sequence))
        if len(large):
            return sequence, int(rng.choice(large))
    raise NothingUsableError(
        f"objects to cut out must be visible and at least {MIN_OBJECT_SIDE} pixels wide and high, "
        f"got none in {MAX_DRAWS} draws from {len(objects)} sequences, and none looking at them one by one"
    )


def _is_large(sequence: VideoSequence) -> Bool[np.ndarray, " num_frames"]:
    return sequence.visible & (sequence.boxes_xywh[:, 2:].min(axis=1) >= MIN_OBJECT_SIDE)


def _harmonised(cutout: CutOut, background: Image, rng: np.random.Generator) -> CutOut:
    """Return the cut-out with its colours drawn towards those of the background, by a random part."""
    ratio = (np.array(cv2.mean(background)[:3]) + 10) / (mean_colour(cutout) + 10)
    return recolour(cutout, np.clip(ratio ** rng.uniform(0, 0.5), 0.6, 1.6))


def _copies(
    target: CutOut,
    path: Float[np.ndarray, "num_frames 2"],
    size_wh: tuple[int, int],
    config: SyntheticConfig,
    rng: np.random.Generator,
) -> list[Layer]:
    layers = []
    for _ in range(rng.integers(config.max_distractors + 1)):
        gains = np.exp(rng.choice([-1.0, 1.0], 3) * rng.uniform(0.1, 0.5, 3))
        red, green, blue = (int(channel) for channel in rng.permutation(3))
        copy = recolour(target, gains, (red, green, blue))
        away = 4.0 * max(target.pixels.shape)
        own = wandering(len(path), size_wh, rng) if rng.random() < 0.5 else passing(path, away, rng)
        layers.append(Layer(copy, _follow(copy, own, rng)))
    return layers


def _draw_beside(
    others: _Others,
    side: float,
    size_wh: tuple[int, int],
    config: SyntheticConfig,
    rng: np.random.Generator,
) -> list[Layer]:
    layers = []
    for _ in range(rng.integers(config.max_distractors + 1)):
        other = others.draw(side * rng.uniform(0.6, 1.5), rng)
        layers.append(Layer(other, _follow(other, wandering(config.num_frames, size_wh, rng), rng)))
    return layers


def _follow(cutout: CutOut, path: Float[np.ndarray, "num_frames 2"], rng: np.random.Generator) -> Poses:
    return draw_poses(path, cutout.pixels.shape[1::-1], rng)


def _background_poses(
    background: Image, size_wh: tuple[int, int], num_frames: int, rng: np.random.Generator
) -> Poses:
    """Return the motion of a hand-held camera over a picture that is a little larger than the frame."""
    size = np.array(size_wh, float)
    zoom = rng.uniform(1.1, 1.5) * np.exp(wave(num_frames, 0.04, rng)) * size[0] / background.shape[1]
    angle = wave(num_frames, 0.03, rng)
    cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
    linear = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    reach = rng.uniform(0.01, 0.1) * size.max()
    path = size / 2 + np.stack([wave(num_frames, reach, rng) for _ in range(2)], axis=1)
    return Poses(linear, path - linear @ (np.array(background.shape[1::-1]) / 2))


def _light(num_frames: int, rng: np.random.Generator) -> Float[np.ndarray, "num_frames 3"]:
    together = wave(num_frames, rng.uniform(0, 0.25), rng)[:, None]
    apart = np.stack([wave(num_frames, rng.uniform(0, 0.06), rng) for _ in range(3)], axis=1)
    return np.exp(together + apart)
