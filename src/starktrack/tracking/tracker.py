"""The tracker: state and time, no tensor algebra. Targets are a batch; one target is a batch of one.

Source: section 3.2 and 4.1, Inference: no cosine window, no smoothing, one forward pass a frame.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool

from starktrack.arrays import Box, Boxes, Image
from starktrack.errors import InputError, StarktrackError
from starktrack.geometry.boxes import check_box, clip_xywh
from starktrack.geometry.crop import decode_transform
from starktrack.tracking.presence import Presence, TargetState
from starktrack.tracking.protocol import BoxQueries, Engine, Prediction, Refiner, Template
from starktrack.tracking.refinement import refine
from starktrack.tracking.search_growth import SearchGrowth
from starktrack.tracking.template_memory import TemplateMemory


@dataclass(frozen=True)
class TrackOutput:
    """Where one target is in one frame.

    Attributes:
        box_xywh: Image pixels; read-only.
        score: Probability that the target is there, or None where the model has no score head, and on the
            frame in which the box was given.
        template_updated: Whether this frame became a dynamic template.
        state: Whether the target is tracked, uncertain or lost; None where there is no score.
        mask: Which pixels of the frame are the target's; None without a refiner.
    """

    box_xywh: Box
    score: float | None
    template_updated: bool
    state: TargetState | None = None
    mask: Bool[np.ndarray, "height width"] | None = None


@dataclass
class Target:
    """What is remembered of one target: its last box, templates, age in frames, whether and where it was seen.

    `refiner_template` is what a refiner keeps of its first frame.
    """

    box_xywh: Box
    memory: TemplateMemory
    growth: SearchGrowth
    num_updates: int = 0
    presence: Presence = field(default_factory=Presence)
    refiner_template: Template | None = None


def begin(engine: Engine, queries: BoxQueries) -> list[Target]:
    """Return new targets, one for each box."""
    num_templates = engine.config.model.num_templates
    templates = engine.embed(queries)
    return [
        Target(box, TemplateMemory.start(template, num_templates), SearchGrowth(box))
        for box, template in zip(queries.boxes_xywh, templates, strict=True)
    ]


def advance(
    engine: Engine, targets: Sequence[Target], images: Sequence[Image], image_index: Sequence[int]
) -> list[TrackOutput]:
    """Find every target in its next frame and remember what was found.

    Targets may belong to different videos: target b is searched in `images[image_index[b]]`.

    Raises:
        StarktrackError: The network's answer is not finite.
    """
    index = np.asarray(image_index, dtype=np.int64)
    around = [
        target.growth.around(target.box_xywh, images[image].shape[:2], engine.config)
        for target, image in zip(targets, index, strict=True)
    ]
    windows = BoxQueries(images, index, np.stack(around))
    prediction = engine.predict(windows, [target.memory.templates() for target in targets])
    boxes = _to_image(engine, windows, prediction)
    for target, box in zip(targets, boxes, strict=True):
        target.box_xywh = box
        target.num_updates += 1
    updated = _update_templates(engine, targets, BoxQueries(images, index, boxes), prediction)
    if prediction.scores is None:
        return [TrackOutput(box, None, replaced) for box, replaced in zip(boxes, updated, strict=True)]
    for target, score in zip(targets, prediction.scores, strict=True):
        target.presence = target.presence.after(float(score), engine.config.tracking)
        target.growth = target.growth.after(target.box_xywh, target.presence.state)
    return [
        TrackOutput(target.box_xywh, float(score), replaced, target.presence.state)
        for target, score, replaced in zip(targets, prediction.scores, updated, strict=True)
    ]


def _to_image(engine: Engine, windows: BoxQueries, prediction: Prediction) -> Boxes:
    if not np.isfinite(prediction.boxes_cxcywh).all():
        raise StarktrackError(
            "a network's boxes must be finite, got NaN; the weights are damaged or overflow in half precision"
        )
    model, margin = engine.config.model, engine.config.tracking.clip_margin
    transform = decode_transform(windows.boxes_xywh, model.search.factor, model.search.side, model.geometry)
    sizes = np.array([image.shape[:2] for image in windows.images])[windows.image_index]
    boxes = transform.to_image(prediction.boxes_cxcywh.astype(np.float64))
    return _read_only(clip_xywh(boxes, (sizes[:, 0], sizes[:, 1]), margin))


def _read_only(boxes_xywh: Boxes) -> Boxes:
    """Return the boxes read-only: outputs and the tracker's memory share them."""
    boxes_xywh.setflags(write=False)
    return boxes_xywh


def _update_templates(
    engine: Engine, targets: Sequence[Target], found: BoxQueries, prediction: Prediction
) -> list[bool]:
    due = np.array([_is_due(engine, target) for target in targets])
    if prediction.scores is not None:
        due &= prediction.scores > engine.config.tracking.update_score
    if due.any():
        chosen = np.flatnonzero(due)
        templates = engine.embed(
            BoxQueries(found.images, found.image_index[chosen], found.boxes_xywh[chosen])
        )
        for position, template in zip(chosen, templates, strict=True):
            targets[position].memory.replace_oldest(template)
    return due.tolist()


def _is_due(engine: Engine, target: Target) -> bool:
    has_slot = engine.config.model.num_templates > 1
    return has_slot and target.num_updates % engine.config.tracking.update_interval == 0


class Tracker:
    """One or more targets in one video.

    Args:
        engine: The network.
        refiner: A second network that makes each answer's box exact and adds an outline. The tracker itself
            goes on from its own boxes.

    Example:
        >>> tracker = starktrack.load("stark_st50", weights="stark_st50.safetensors")  # doctest: +SKIP
        >>> tracker.start(first_frame, box_xywh=(120, 80, 64, 96))  # doctest: +SKIP
        >>> tracker.update(next_frame).box_xywh  # doctest: +SKIP
    """

    def __init__(self, engine: Engine, refiner: Refiner | None = None) -> None:
        self.engine = engine
        self.refiner = refiner
        self._targets: dict[int, Target] = {}
        self._next_id = 0

    @property
    def target_ids(self) -> list[int]:
        """Ids of the targets that are tracked, in the order in which they were added."""
        return list(self._targets)

    def start(
        self, image: Image, *, box_xywh: Any | None = None, boxes_xywh: Iterable[Any] | None = None
    ) -> list[int]:
        """Forget all targets and begin with these; return their ids, from 0.

        Args:
            image: First frame, RGB.
            box_xywh: The target's box, pixels; or
            boxes_xywh: the boxes of several targets.

        Raises:
            BoxError: A box cannot be tracked in this image; nothing is forgotten then.
            InputError: The image is not RGB uint8, or not exactly one of the two boxes arguments is given.
        """
        if (box_xywh is None) == (boxes_xywh is None):
            raise InputError("start needs either box_xywh=(x, y, w, h) or boxes_xywh=[...], got both or none")
        boxes = [box_xywh] if boxes_xywh is None else list(boxes_xywh)
        if not boxes:
            raise InputError("boxes_xywh must hold at least one box, got none")
        new = self._begin(image, boxes)
        self._targets, self._next_id = {}, 0
        return [self._keep(target) for target in new]

    def add(self, image: Image, box_xywh: Any) -> int:
        """Begin to track one more target from this frame on; return its id.

        Raises:
            BoxError: The box cannot be tracked in this image.
            InputError: The image is not RGB uint8.
        """
        return self._keep(self._begin(image, [box_xywh])[0])

    def remove(self, target_id: int) -> None:
        """Forget one target.

        Raises:
            InputError: There is no such target.
        """
        self._require(target_id)
        del self._targets[target_id]

    def last_box(self, target_id: int) -> Box:
        """Return where a target was seen last, or given; image pixels.

        Raises:
            InputError: There is no such target.
        """
        return self._require(target_id).box_xywh

    def first_outputs(self, image: Image) -> dict[int, TrackOutput]:
        """Return every target's box as it is remembered, in the frame that it belongs to, by id.

        With a refiner there is an outline too; a box that was given is never changed.
        """
        boxes = {i: target.box_xywh for i, target in self._targets.items()}
        outputs = [TrackOutput(box, None, False) for box in boxes.values()]
        refined = self._refined(image, outputs)
        return {i: replace(each, box_xywh=boxes[i]) for i, each in zip(boxes, refined, strict=True)}

    def update(self, image: Image) -> TrackOutput:
        """Return where the one target is in the next frame.

        Raises:
            InputError: There is not exactly one target (see `update_all`), or the image is not RGB uint8.
        """
        if len(self._targets) != 1:
            raise InputError(
                f"update is for exactly one target, got {len(self._targets)}; use start first, "
                "or update_all for several"
            )
        return next(iter(self.update_all(image).values()))

    def update_all(self, image: Image) -> dict[int, TrackOutput]:
        """Return where every target is in the next frame, by id; one forward pass for all of them.

        Raises:
            InputError: The image is not RGB uint8.
        """
        _check_image(image)
        if not self._targets:
            return {}
        targets = list(self._targets.values())
        outputs = advance(self.engine, targets, [image], [0] * len(targets))
        return dict(zip(self._targets, self._refined(image, outputs), strict=True))

    def _refined(self, image: Image, outputs: list[TrackOutput]) -> list[TrackOutput]:
        if self.refiner is None:
            return outputs
        found = _queries(image, [output.box_xywh for output in outputs])
        refined = refine(self.refiner, found, [target.refiner_template for target in self._targets.values()])
        return [
            replace(output, box_xywh=exact.box_xywh, mask=exact.mask)
            for output, exact in zip(outputs, refined, strict=True)
        ]

    def _require(self, target_id: int) -> Target:
        if target_id not in self._targets:
            raise InputError(f"a target must be one of {self.target_ids}, got {target_id}")
        return self._targets[target_id]

    def _begin(self, image: Image, boxes: Sequence[Any]) -> list[Target]:
        _check_image(image)
        queries = _queries(image, [check_box(box, image.shape[:2]) for box in boxes])
        targets = begin(self.engine, queries)
        if self.refiner is not None:
            for target, template in zip(targets, self.refiner.embed(queries), strict=True):
                target.refiner_template = template
        return targets

    def _keep(self, target: Target) -> int:
        target_id, self._next_id = self._next_id, self._next_id + 1
        self._targets[target_id] = target
        return target_id


def _queries(image: Image, boxes: Sequence[Box]) -> BoxQueries:
    return BoxQueries([image], np.zeros(len(boxes), np.int64), _read_only(np.stack(boxes)))


def _check_image(image: Any) -> None:
    if getattr(image, "dtype", None) != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        got = f"{getattr(image, 'dtype', type(image).__name__)} {list(getattr(image, 'shape', []))}"
        raise InputError(f"a frame must be an RGB array [height, width, 3] of uint8, got {got}")
