"""Pictures of a track: boxes drawn on frames, and strips of frames."""

import unicodedata
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from starktrack.arrays import Box, Image
from starktrack.data.track_output import TargetState
from starktrack.geometry.boxes import xywh_to_xyxy

PALETTE = (
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (213, 94, 0),
    (204, 121, 167),
    (86, 180, 233),
    (240, 228, 66),
)
"""RGB by target, told apart by colour-blind people too (Okabe and Ito, Color Universal Design, 2008)."""

_FAINT = 0.5
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FRACTION_BITS = 4
_CAPTION_HEIGHT = 28
_GAP = 6


def draw_boxes(
    image: Image,
    boxes_xywh: Mapping[int, Box],
    scores: Mapping[int, float | None] | None = None,
    states: Mapping[int, TargetState | None] | None = None,
    *,
    names: Mapping[int, str] | None = None,
    colours: Mapping[int, tuple[int, int, int]] | None = None,
) -> Image:
    """Return the image with a labelled box per target; lines and text grow with the image.

    Args:
        image: Is not changed.
        boxes_xywh: By target, image pixels; a box with NaN is left out.
        scores: By target, for the label.
        states: By target; the box of a target that is not tracked is faint, with its state in the label. Targets
            without a state, of models without a score, are drawn in full.
        names: By target, for the label; without one the label begins with the target's id. Letters that the
            font does not have are drawn without their accents, or left out.
        colours: RGB by target; without one it is that of the palette.
    """
    scores, states, names = scores or {}, states or {}, names or {}
    palette = {target: PALETTE[target % len(PALETTE)] for target in boxes_xywh} | dict(colours or {})
    shown = {target: box for target, box in boxes_xywh.items() if np.isfinite(box).all()}
    labels = {
        target: _label(
            _drawable(names.get(target, "")) or f"{target}", scores.get(target), states.get(target)
        )
        for target in shown
    }
    doubted = [target for target in shown if _is_doubted(states.get(target))]
    canvas = image.copy()
    for target in doubted:
        _draw_target(canvas, shown[target], palette[target], labels[target])
    if doubted:
        canvas = cv2.addWeighted(canvas, _FAINT, image, 1 - _FAINT, 0)
    for target in (target for target in shown if target not in doubted):
        _draw_target(canvas, shown[target], palette[target], labels[target])
    return canvas


def draw_masks(image: Image, masks: Mapping[int, Bool[np.ndarray, "height width"]]) -> Image:
    """Return the image with each target's pixels half in its colour, and a line around them.

    Args:
        image: Is not changed.
        masks: By target.
    """
    canvas = image.copy()
    for target, mask in masks.items():
        colour = PALETTE[target % len(PALETTE)]
        canvas[mask] = canvas[mask] // 2 + np.array(colour, np.uint8) // 2
        lines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(canvas, lines, -1, colour, max(1, round(min(image.shape[:2]) / 240)), cv2.LINE_AA)
    return canvas


def image_grid(
    images: Sequence[UInt8[np.ndarray, "_ _ 3"]],
    columns: int,
    captions: Sequence[str] = (),
    *,
    width: int = 320,
) -> Image:
    """Return thumbnails in rows of `columns`, on white, each with its caption below.

    Args:
        images: At least one, of any sizes.
        columns: Pictures per row.
        captions: One per image, or fewer.
        width: Width of a thumbnail in pixels.
    """
    sizes = [(width, max(1, round(width * image.shape[0] / image.shape[1]))) for image in images]
    height = max(size[1] for size in sizes)
    caption_height = _CAPTION_HEIGHT if captions else 0
    rows = -(-len(images) // columns)
    cell_height, cell_width = height + caption_height + _GAP, width + _GAP
    canvas = np.full(
        (rows * cell_height + _GAP, min(columns, len(images)) * cell_width + _GAP, 3), 255, np.uint8
    )
    named = [*captions, *[""] * (len(images) - len(captions))]
    for index, (image, size, caption) in enumerate(zip(images, sizes, named, strict=True)):
        top, left = _GAP + index // columns * cell_height, _GAP + index % columns * cell_width
        canvas[top : top + size[1], left : left + width] = cv2.resize(
            image, size, interpolation=cv2.INTER_AREA
        )
        baseline = (left + 2, top + height + caption_height - 8)
        cv2.putText(canvas, caption, baseline, _FONT, 0.5, (40, 40, 40), 1, cv2.LINE_AA)
    return canvas


def _drawable(name: str) -> str:
    """Return a name in the letters of the font, which has ASCII alone."""
    return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii").strip()


def _label(name: str, score: float | None, state: TargetState | None) -> str:
    text = name if score is None or np.isnan(score) else f"{name} {score:.2f}"
    return f"{text} {state}" if _is_doubted(state) else text


def _is_doubted(state: TargetState | None) -> bool:
    return state not in (None, TargetState.TRACKED)


def _draw_target(canvas: Image, box_xywh: Box, colour: tuple[int, int, int], label: str) -> None:
    thickness = max(1, round(min(canvas.shape[:2]) / 240))
    # Far corners would overflow the integers of the drawing functions.
    limit = 2 * max(canvas.shape)
    # Pixel j spans [j, j + 1] here, and [j - 0.5, j + 0.5] there.
    edges = xywh_to_xyxy(box_xywh).clip(-limit, limit) - 0.5
    corners = np.rint(edges * (1 << _FRACTION_BITS)).astype(int).tolist()
    cv2.rectangle(canvas, corners[:2], corners[2:], colour, thickness, cv2.LINE_AA, _FRACTION_BITS)
    _draw_label(canvas, box_xywh, colour, label, thickness)


def _draw_label(
    canvas: Image, box_xywh: Box, colour: tuple[int, int, int], label: str, thickness: int
) -> None:
    scale = max(0.4, min(canvas.shape[:2]) / 1000)
    stroke = max(1, thickness // 2)
    (text_width, text_height), _ = cv2.getTextSize(label, _FONT, scale, stroke)
    pad = 1 + thickness
    width, height = text_width + 2 * pad, text_height + 2 * pad
    left = int(np.clip(round(box_xywh[0]), 0, max(0, canvas.shape[1] - width)))
    above = round(box_xywh[1]) - height
    top = int(np.clip(above if above >= 0 else round(box_xywh[1]), 0, max(0, canvas.shape[0] - height)))
    cv2.rectangle(canvas, (left, top), (left + width, top + height), colour, cv2.FILLED)
    bright = np.dot(colour, (0.299, 0.587, 0.114)) > 140
    ink = (0, 0, 0) if bright else (255, 255, 255)
    cv2.putText(canvas, label, (left + pad, top + pad + text_height), _FONT, scale, ink, stroke, cv2.LINE_AA)
