"""The state of a target, and the step that finds a batch of targets in their next frames.

Source: section 3.2 and 4.1, Inference: no cosine window, no smoothing, one forward pass a frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from starktrack.arrays import Box, Boxes, Image
from starktrack.config.schema import TrackingConfig
from starktrack.data.track_output import TargetState, TrackOutput
from starktrack.errors import StarktrackError
from starktrack.geometry.boxes import clip_xywh
from starktrack.tracking.box_fit import BoxFit, fit_boxes
from starktrack.tracking.presence import Presence
from starktrack.tracking.protocol import BoxQueries, Engine, Template
from starktrack.tracking.redetection import Redetection, search_picture
from starktrack.tracking.search import predict_boxes
from starktrack.tracking.search_growth import SearchGrowth
from starktrack.tracking.template_memory import TemplateMemory


@dataclass
class Target:
    """The state of one target.

    Attributes:
        box_xywh: The latest box, image pixels; read-only.
        memory: Its templates.
        growth: Its last sure box, around which a lost target is searched.
        first_wh: Width and height of the box that was given.
        fit: The correction that draws the network's boxes like the box that was given; None for no correction.
        num_updates: Frames since it was given.
        presence: Whether it is tracked, uncertain or lost.
        redetection: How the search of the whole picture for it stands.
        refiner_template: A refiner's features of its first frame.
    """

    box_xywh: Box
    memory: TemplateMemory
    growth: SearchGrowth
    first_wh: Float[np.ndarray, "2"]
    fit: BoxFit | None = None
    num_updates: int = 0
    presence: Presence = field(default_factory=Presence)
    redetection: Redetection = field(default_factory=Redetection)
    refiner_template: Template | None = None


def begin(engine: Engine, queries: BoxQueries, *, settings: TrackingConfig) -> list[Target]:
    """Return new targets, one for each box."""
    boxes = queries.boxes_xywh.copy()
    boxes.setflags(write=False)
    num_templates = engine.config.model.num_templates
    targets = [
        Target(box, TemplateMemory.start(template, num_templates), SearchGrowth(box), box[2:])
        for box, template in zip(boxes, engine.embed(queries), strict=True)
    ]
    if settings.box_fit:
        found_xywh, _ = predict_boxes(engine, queries, [target.memory.templates() for target in targets])
        for target, found in zip(targets, found_xywh, strict=True):
            target.fit = fit_boxes(target.box_xywh, found, settings.box_fit)
    return targets


def advance(
    engine: Engine,
    targets: Sequence[Target],
    images: Sequence[Image],
    image_index: Sequence[int],
    *,
    settings: TrackingConfig,
) -> list[TrackOutput]:
    """Find every target in its next frame, change its state, and return what was found.

    Targets may belong to different videos: target b is searched in `images[image_index[b]]`. Outputs have no target
    id and no frame index; the caller adds them.

    Raises:
        StarktrackError: The network's answer is not finite; no state was changed.
    """
    model, index = engine.config.model, np.asarray(image_index, dtype=np.int64)
    sizes_hw = np.array([images[image].shape[:2] for image in index])
    around = [
        target.growth.around(target.box_xywh, (height, width), settings.search_growth, model.search.factor)
        for target, (height, width) in zip(targets, sizes_hw.tolist(), strict=True)
    ]
    windows = BoxQueries(images, index, np.stack(around))
    found_xywh, network_scores = predict_boxes(
        engine, windows, [target.memory.templates() for target in targets]
    )
    if not np.isfinite(found_xywh).all():
        raise StarktrackError(
            "a network's boxes must be finite, got NaN; the weights are damaged or overflow in half precision"
        )
    for position, target in enumerate(targets):
        if target.fit is not None:
            found_xywh[position] = target.fit.apply(found_xywh[position])
    margins_wh = np.full((len(targets), 2), settings.clip_margin)
    if model.geometry == "exact":  # the published rule makes a target of 4 pixels one of 10
        margins_wh = np.minimum(margins_wh, np.stack([target.first_wh for target in targets]))
    boxes: Boxes = clip_xywh(
        found_xywh,
        (sizes_hw[:, 0], sizes_hw[:, 1]),
        margins_wh,
    )
    boxes.setflags(write=False)  # outputs and the state share them
    scores: list[float | None] = [None] * len(targets)
    if network_scores is not None:
        scores = network_scores.tolist()
    for target, box in zip(targets, boxes, strict=True):
        target.box_xywh = box
        target.num_updates += 1

    # The paper's rule (T_u and tau) alone replaces templates; the presence below does not affect it.
    is_due = [
        model.num_templates > 1
        and not target.redetection.is_pending
        and target.num_updates % settings.update_interval == 0
        and (score is None or score > settings.update_score)
        for target, score in zip(targets, scores, strict=True)
    ]
    if any(is_due):
        chosen = np.flatnonzero(is_due).tolist()
        templates = engine.embed(BoxQueries(images, index[chosen], boxes[chosen]))
        for position, template in zip(chosen, templates, strict=True):
            targets[position].memory.replace_oldest(template)

    for position, (target, score) in enumerate(zip(targets, scores, strict=True)):
        if score is None:
            continue
        _judge(target, score, settings)
        if target.presence.state is not TargetState.LOST or not settings.redetect:
            continue
        if target.growth.num_lost % settings.redetect == 0:
            scores[position] = _search_picture(engine, target, images[index[position]], score, settings)
            if target.redetection.is_pending:  # the memory is that of the first frame again
                is_due[position] = False
    return [
        TrackOutput(
            box_xywh=target.box_xywh,
            score=score,
            state=None if score is None else target.presence.state,
            template_updated=updated,
        )
        for target, score, updated in zip(targets, scores, is_due, strict=True)
    ]


def _judge(target: Target, score: float, settings: TrackingConfig) -> None:
    """Update the state of a target after a score: presence, redetection and search region."""
    home = target.redetection.home_xywh
    if home is None:
        target.presence = target.presence.after(score, settings)
    else:
        target.redetection = target.redetection.after(score, settings)
        if score < settings.tracked_score:
            target.box_xywh = home
            target.presence = Presence(TargetState.LOST, settings.lost_after)
        elif not target.redetection.is_pending:
            target.presence = Presence()
    if target.presence.state is TargetState.TRACKED:
        target.redetection = Redetection()
    target.growth = target.growth.after(target.box_xywh, target.presence.state)


def _search_picture(
    engine: Engine, target: Target, image: Image, score: float, settings: TrackingConfig
) -> float:
    """Go over to a box elsewhere in the picture that scores better; return the score of the box that counts."""
    search = target.redetection
    box, found = search_picture(
        engine, image, target.growth.seen_xywh, target.memory.initial, search.num_searches, target.fit
    )
    target.redetection = Redetection(search.num_searches + 1)
    if found < max(settings.tracked_score, score):
        return score
    box.setflags(write=False)
    target.redetection = Redetection(search.num_searches + 1, home_xywh=target.box_xywh)
    target.box_xywh, target.presence = box, Presence(TargetState.UNCERTAIN)
    # The dynamic templates may show what the tracker went over to when it lost the target.
    target.memory = TemplateMemory.start(target.memory.initial, engine.config.model.num_templates)
    target.growth = target.growth.after(box, target.presence.state)
    return found
