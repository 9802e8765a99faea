"""Pictures of a batch and of the network's output: templates, search regions, boxes."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from starktrack.data.samples.batch import Batch, Outlines
from starktrack.data.video.image_files import write_image
from starktrack.errors import InputError, TrainingError
from starktrack.geometry.boxes import cxcywh_to_xyxy
from starktrack.models.crops import PIXEL_MEAN, PIXEL_STD

TRUE_COLOUR, PREDICTED_COLOUR, ABSENT_COLOUR = (0, 255, 0), (255, 0, 0), (128, 128, 128)
"""RGB: green for the true box, red for the predicted box, grey for the true box of a sample without the target."""

COLUMNS = 4
"""Samples side by side."""

Picture = UInt8[np.ndarray, "height width 3"]


def draw_batch(batch: Batch, answer: Mapping[str, Tensor]) -> Picture:
    """Return the samples side by side: templates on top of each other, the search region with both boxes.

    A predicted outline is a tint, the true outline a line.

    Args:
        answer: The network's output by the names of its graph (`kinds.kind.Graph.outputs`): `box_cxcywh`, and
            `mask_logit` where it predicts outlines.
    """
    tiles = [_draw_sample(batch, answer, index) for index in range(len(batch))]
    blank = np.zeros_like(tiles[0])
    tiles += [blank] * (-len(tiles) % COLUMNS)
    rows = [np.concatenate(tiles[start : start + COLUMNS], axis=1) for start in range(0, len(tiles), COLUMNS)]
    return np.concatenate(rows)


def first_samples(batch: Batch, count: int) -> Batch:
    """Return the first `count` samples of a batch, or all if there are fewer."""
    fields = ("templates", "template_masks", "search", "search_mask", "box_cxcywh", "label", "names")
    outlines = None if batch.outlines is None else Outlines(*(each[:count] for each in batch.outlines))
    return replace(batch, outlines=outlines, **{name: getattr(batch, name)[:count] for name in fields})


def write_picture(path: Path, picture: Picture) -> None:
    """Write an RGB picture, whole or not at all, and its folder.

    Raises:
        TrainingError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, picture)
    except (OSError, InputError) as error:
        raise TrainingError(
            f"a picture of the crops must be written, {path} could not be ({error}); make room"
        ) from error


def colours(normalised: Float[Tensor, "3 height width"]) -> Picture:
    """Return network input as RGB pixels."""
    mean, std = torch.tensor(PIXEL_MEAN), torch.tensor(PIXEL_STD)
    shown = normalised.detach().float().cpu().permute(1, 2, 0) * std + mean
    return (shown * 255).round().clamp(0, 255).to(torch.uint8).contiguous().numpy()


def _draw_sample(batch: Batch, answer: Mapping[str, Tensor], index: int) -> Picture:
    search = colours(batch.search[index])
    if batch.outlines is not None and "mask_logit" in answer:
        _draw_outlines(search, batch.outlines.pixels[index], answer["mask_logit"][index])
    is_there = bool(batch.label[index] > 0.5)
    _draw_box(search, batch.box_cxcywh[index], TRUE_COLOUR if is_there else ABSENT_COLOUR)
    _draw_box(search, answer["box_cxcywh"][index], PREDICTED_COLOUR)
    templates = np.concatenate([colours(template) for template in batch.templates[index]])
    height = max(len(search), len(templates))
    return np.concatenate([_padded(templates, height), _padded(search, height)], axis=1)


def _draw_outlines(picture: Picture, true: Bool[Tensor, "side side"], mask_logit: Tensor) -> None:
    logit = mask_logit.detach().float().cpu().numpy()
    found = cv2.resize(logit, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR) > 0
    picture[found] = picture[found] // 2 + np.array(PREDICTED_COLOUR, np.uint8) // 2
    lines, _ = cv2.findContours(
        true.cpu().numpy().astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    cv2.drawContours(picture, lines, -1, TRUE_COLOUR, 1)


def _draw_box(picture: Picture, box_cxcywh: Tensor, colour: tuple[int, int, int]) -> None:
    corners = (cxcywh_to_xyxy(box_cxcywh.detach().float().cpu()) * len(picture)).clamp(-1e4, 1e4)
    left, top, right, bottom = corners.nan_to_num().round().int().tolist()
    cv2.rectangle(picture, (left, top), (right, bottom), colour, 2)


def _padded(picture: Picture, total: int) -> UInt8[np.ndarray, "total padded_width 3"]:
    return np.pad(picture, ((0, total - len(picture)), (0, 4), (0, 0)))
