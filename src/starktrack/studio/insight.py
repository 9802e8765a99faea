"""What the networks say of one frame: the maps that led to a box, and the target's outline.

The explained network is a PyTorch one, which is loaded when it is asked for first.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from starktrack.data.video.random_access import RandomFrames
from starktrack.errors import InputError, MissingExtraError
from starktrack.geometry.crop import crop_transform
from starktrack.studio.outline import Outliner, outline_of
from starktrack.studio.project import Target
from starktrack.tracking.protocol import BoxQueries, Refiner

if TYPE_CHECKING:
    from starktrack.engines.torch_engine import TorchEngine
    from starktrack.explanation.engine import ExplainingEngine

DEFAULT_REFINER = "refine_mobile"


def can_explain() -> bool:
    """Return whether PyTorch is installed, with what our networks need of it."""
    return all(find_spec(package) for package in ("torch", "torchvision", "timm"))


class Insight:
    """The networks that explain and outline, loaded on their first use.

    Args:
        weights: Of the tracker, as `starktrack.load`.
        device: As `starktrack.load`.
        refine: Of the refiner; without it the one that comes with the package.
    """

    def __init__(
        self,
        weights: str | Path | None = None,
        device: str = "auto",
        refine: str | Path | None = None,
    ) -> None:
        self._weights, self._device, self._refine = weights, device, refine
        self._engine: ExplainingEngine | None = None
        self._refiner: Refiner | None = None

    def refiner(self) -> Refiner:
        """Return the network that draws outlines."""
        from starktrack.api import load_refiner

        if self._refiner is None:
            self._refiner = load_refiner(self._refine or DEFAULT_REFINER, device=self._device)
        return self._refiner

    def outline(self, frames: RandomFrames, target: Target, frame: int) -> dict[str, Any]:
        """Return the outline of a target in a frame.

        Raises:
            InputError: The target has no box there.
        """
        if not target.has_box(frame):
            raise InputError(
                f"{target.name} must have a box in frame {frame} to be outlined; draw or track one"
            )
        masks = Outliner(self.refiner(), frames, {0: target}).masks(frames.read(frame), frame)
        return {"outline": outline_of(masks[0])}

    def maps(self, frames: RandomFrames, target: Target, frame: int) -> dict[str, Any]:
        """Return what the tracker's network looks at in a frame, searching from the box before it.

        The template is the target's nearest key box. Maps go from 0 to 1 over the square `window` of image pixels.

        Raises:
            MissingExtraError: PyTorch is not installed.
            InputError: The target has no box to start from.
        """
        engine = self._explaining()
        start = target.reference_frame(frame)
        nearby = (frame - 1, frame, frame + 1)
        around = next((each for each in nearby if target.has_box(each)), start)
        (template,) = engine.embed(_query(frames, target, start, start))
        model = engine.config.model
        search = _query(frames, target, frame, around)
        engine.predict(search, [[template] * model.num_templates])
        explained = engine.last
        assert explained is not None, "predict leaves its explanation"
        transform = crop_transform(search.boxes_xywh, model.search.factor, model.search.side)
        cells = explained.cells
        found: dict[str, np.ndarray] = {}
        for name, weights in (("attention", explained.decoder), ("encoder attention", explained.encoder)):
            if weights is not None:
                found[name] = weights[-1].mean(axis=0)[-(cells**2) :].reshape(cells, cells)
        if explained.corners is not None:
            found["top-left corner"], found["bottom-right corner"] = explained.corners
        if explained.centre is not None:
            found["centre"] = explained.centre
        return {
            "window": [*transform.origin_xy[0].tolist(), float(transform.side[0])],
            # Shares of the largest value, since the page maps 0 to 1 to colours; three digits keep messages short.
            "maps": {
                name: (values.astype(np.float64) / max(float(values.max()), 1e-12)).round(3).tolist()
                for name, values in found.items()
            },
            "score": explained.score,
            "missing": explained.missing(),
        }

    def _explaining(self) -> "ExplainingEngine":
        if not can_explain():
            raise MissingExtraError("torch", "torch", "the maps of the network")
        if self._engine is None:
            from starktrack.api import load_engine
            from starktrack.explanation.engine import ExplainingEngine

            engine = load_engine(weights=self._weights, device=self._device, engine="torch")
            self._engine = ExplainingEngine(cast("TorchEngine", engine))
        return self._engine


def _query(frames: RandomFrames, target: Target, frame: int, box_of: int) -> BoxQueries:
    boxes = target.boxes_xywh[box_of][None].astype(np.float64)
    return BoxQueries([frames.read(frame)], np.zeros(1, np.int64), boxes)
