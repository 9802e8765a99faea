"""Explanations as pictures: crops tinted by attention, corner maps, the score over time."""

import itertools
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from starktrack.arrays import Image
from starktrack.explanation.engine import Explanation
from starktrack.geometry.boxes import cxcywh_to_xyxy

BOX_COLOUR, POSITION_COLOUR, CURVE_COLOUR = (255, 255, 255), (86, 255, 86), (0, 114, 178)
"""RGB of the predicted box, of the query position, and of the score."""

TILE = 192
"""Pixels along a side of the search region in a picture; templates are half of that."""

_FLOOR, _TINT = 0.35, 0.65
"""Brightness of cells without attention, and strength of the tint of others."""


def attention_tile(explanation: Explanation, weights: Float[np.ndarray, " keys"]) -> Image:
    """Return templates and search region, each cell tinted by its weight over the largest one.

    Templates stand on the left, initial on top; they are dark if they are not in the layer's input.
    """
    shares = weights / max(float(weights.max()), 1e-12)
    num_search = explanation.cells**2
    search = tinted(explanation.search, shares[-num_search:].reshape(explanation.cells, -1), TILE)
    parts = np.split(shares[:-num_search], len(explanation.templates))
    grids = [part.reshape(round(len(part) ** 0.5), -1) if len(part) else np.zeros((1, 1)) for part in parts]
    side = _template_side(explanation)
    pictures = zip(explanation.templates, grids, strict=True)
    return _beside([tinted(picture, grid, side) for picture, grid in pictures], search)


def search_tile(explanation: Explanation) -> Image:
    """Return templates and search region, with the predicted box and the query position."""
    search = _shrunk(explanation.search, TILE)
    corners = _in_tile(cxcywh_to_xyxy(explanation.box_cxcywh))
    cv2.rectangle(search, corners[:2], corners[2:], BOX_COLOUR, 1, cv2.LINE_AA)
    position = _in_tile(np.array(explanation.position_xy))
    cv2.drawMarker(search, position, POSITION_COLOUR, cv2.MARKER_TILTED_CROSS, 10, 2, cv2.LINE_AA)
    side = _template_side(explanation)
    return _beside([_shrunk(template, side) for template in explanation.templates], search)


def corner_tile(explanation: Explanation, corner: int) -> Image:
    """Return the search region tinted by the probability of a corner (0 top-left), its expectation a cross."""
    expected = cxcywh_to_xyxy(explanation.box_cxcywh)[2 * corner : 2 * corner + 2]
    maps = explanation.corners
    assert maps is not None, "shown for networks with corner maps"
    return _map_tile(explanation, maps[corner], expected)


def centre_tile(explanation: Explanation) -> Image:
    """Return the search region tinted by the probability of the centre, that of the box a cross."""
    assert explanation.centre is not None, "shown for networks with a map of the centre"
    return _map_tile(explanation, explanation.centre, explanation.box_cxcywh[:2])


def summary_tiles(explanation: Explanation) -> dict[str, Image]:
    """Return, by caption, the summary of a frame: last layers, mean over heads, and the corner maps."""
    tiles = {"search region": search_tile(explanation)}
    if explanation.encoder is not None:
        tiles["encoder, last layer"] = attention_tile(explanation, explanation.encoder[-1].mean(axis=0))
    if explanation.decoder is not None:
        tiles["decoder, last layer"] = attention_tile(explanation, explanation.decoder[-1].mean(axis=0))
    if explanation.corners is not None:
        tiles["top-left corner"] = corner_tile(explanation, 0)
        tiles["bottom-right corner"] = corner_tile(explanation, 1)
    if explanation.centre is not None:
        tiles["centre"] = centre_tile(explanation)
    return tiles


def head_tiles(
    explanation: Explanation, attention: Float[np.ndarray, "layers heads keys"]
) -> dict[str, Image]:
    """Return by caption one tile per layer and head, heads of a layer side by side."""
    return {
        f"layer {layer}, head {head}": attention_tile(explanation, weights)
        for layer, heads in enumerate(attention)
        for head, weights in enumerate(heads)
    }


def score_curve(scores: Sequence[float | None], size_hw: tuple[int, int], threshold: float) -> Image:
    """Return the score of every frame so far as a curve from 0 to 1 over a line at `threshold`.

    Frames without a score leave a gap. The frames divide the whole width.
    """
    height, width = size_hw
    canvas = np.full((height, width, 3), 255, np.uint8)
    level = _row(threshold, height)
    cv2.line(canvas, (0, level), (width, level), (190, 190, 190), 1)
    places = np.linspace(0, width - 1, max(2, len(scores))).round().astype(int)
    points = [
        None if score is None or not np.isfinite(score) else (int(x), _row(score, height))
        for x, score in zip(places, scores, strict=False)
    ]
    for before, after in itertools.pairwise(points):
        if before is not None and after is not None:
            cv2.line(canvas, before, after, CURVE_COLOUR, 2, cv2.LINE_AA)
    cv2.putText(canvas, "score", (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (40, 40, 40), 1, cv2.LINE_AA)
    return canvas


def tinted(
    picture: UInt8[np.ndarray, "_ _ 3"], shares: Float[np.ndarray, "rows columns"], side: int
) -> Image:
    """Return a square picture, dark where shares are 0 and in the colour of the share where they are not."""
    grey = cv2.cvtColor(_shrunk(picture, side), cv2.COLOR_RGB2GRAY)[..., None]
    smooth = cv2.resize(shares.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
    share = smooth.clip(0, 1)[..., None]
    colours = cv2.applyColorMap((share * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    base = grey * (_FLOOR + (1 - _FLOOR) * share)
    return (base * (1 - _TINT * share) + colours * _TINT * share).astype(np.uint8)


def _map_tile(
    explanation: Explanation, probability: Float[np.ndarray, "cells cells"], marked: Float[np.ndarray, "2"]
) -> Image:
    tile = tinted(explanation.search, probability / max(float(probability.max()), 1e-12), TILE)
    cv2.drawMarker(tile, _in_tile(marked), BOX_COLOUR, cv2.MARKER_CROSS, 14, 1, cv2.LINE_AA)
    return np.pad(tile, ((0, 0), (TILE // 2, 0), (0, 0)), constant_values=255)


def _shrunk(picture: UInt8[np.ndarray, "_ _ 3"], side: int) -> Image:
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)


def _template_side(explanation: Explanation) -> int:
    return TILE // max(2, len(explanation.templates))


def _beside(templates: Sequence[Image], search: UInt8[np.ndarray, "_ _ 3"]) -> Image:
    column = np.zeros((TILE, TILE // 2, 3), np.uint8)
    for index, picture in enumerate(templates):
        side = len(picture)
        column[index * side : (index + 1) * side, :side] = picture
    return np.concatenate([column, search], axis=1)


def _in_tile(crop_units: Float[np.ndarray, " values"]) -> list[int]:
    """Return crop units as pixels of a tile, a little beyond its edges at the most."""
    return (crop_units * TILE).clip(-TILE, 2 * TILE).round().astype(int).tolist()


def _row(score: float, height: int) -> int:
    return round((1 - score) * (height - 1))
