"""Our tracker as the VOT toolkit starts it: a TraX server, and its in-process `python` protocol.

Entries for a workspace's `trackers.ini` are written by `starktrack vot init`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from starktrack.api import engine_of, load_engine, load_refiner, weights_file
from starktrack.arrays import Box, Image
from starktrack.config.benchmarks import for_benchmark
from starktrack.data.sources.folders import Folder
from starktrack.data.sources.frames_on_disk import read_image
from starktrack.data.track_output import TrackOutput
from starktrack.errors import InputError, MissingExtraError
from starktrack.geometry.boxes import box_of_mask, xyxy_to_xywh
from starktrack.tracking.refinement import mask_region
from starktrack.tracking.tracker import Tracker

Output = Literal["box", "mask"]


def tracker(
    *, weights: str, benchmark: str = "vot", device: str = "auto", settings: str = ""
) -> "ToolkitTracker":
    """Return what the toolkit's `python` protocol asks for; its arguments are the entry's `arg_…` lines.

    Args:
        weights: Checkpoint or exported network of ours, or `stark_mobile` for those of the package.
        benchmark: Whose inference settings apply: `vot` or `vot_longterm`.
        device: Where the network runs.
        settings: `tracking.key=value`, several apart by spaces.

    Raises:
        StarktrackError: As `starktrack.load`.
    """
    return ToolkitTracker(_load(weights, benchmark, device, settings.split()))


class ToolkitTracker:
    """One target, in the toolkit's `python` protocol: frames are paths, answers box and properties.

    Convention: that protocol takes boxes; masks need TraX (toolkit 0.9.0).
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def initialize(self, frame: str, new: Any, *_: Any) -> tuple[tuple[float, ...], dict[str, float]]:
        """Start on the first frame with the one object in `new`, a pair of region and properties."""
        region, _properties = new
        box = _enclosing(region)
        self._tracker.start(_read(frame), box_xywh=box)
        return tuple(box.tolist()), {"confidence": 1.0}

    def update(self, frame: str, *_: Any) -> tuple[tuple[float, ...], dict[str, float]]:
        """Return where the target is; a model without scores is always sure."""
        found = self._tracker.update(_read(frame))
        return tuple(found.box_xywh.tolist()), {"confidence": 1.0 if found.score is None else found.score}


def serve(
    weights: str,
    *,
    output: Output = "box",
    benchmark: str = "vot",
    device: str = "auto",
    refine: str | None = None,
    settings: Iterable[str] = (),
) -> None:
    """Speak TraX with the toolkit until it says goodbye, over TRAX_SOCKET or standard streams.

    Args:
        weights: As for `tracker`.
        output: `mask` answers the outline of a refiner, and without one the box filled with pixels.
        benchmark: Whose inference settings apply.
        device: Where the network runs.
        refine: Weights of a refiner, or the name of one that comes with the package.
        settings: `tracking.key=value`.

    Raises:
        MissingExtraError: `vot-trax` is not installed.
        StarktrackError: As `starktrack.load`; the toolkit gets the message as well.
    """
    try:
        import trax
    except ImportError as error:
        raise MissingExtraError("vot-trax", "vot", "speaking with the VOT toolkit") from error

    formats = [trax.Region.MASK] if output == "mask" else [trax.Region.RECTANGLE]
    # The toolkit waits for a greeting, not for a network: greet first, and errors reach it as a reason.
    with trax.Server(formats, [trax.Image.PATH], tracker_name="starktrack") as server:
        followed = _load(weights, benchmark, device, settings, refine)
        while (request := server.wait()).type != trax.TraxStatus.QUIT:
            image = _read(request.image[trax.ImageChannel.COLOR].path())
            if request.type == trax.TraxStatus.INITIALIZE:
                followed.start(image, box_xywh=_bounds(request.objects))
                found = next(iter(followed.first_outputs(image).values()))
            else:
                found = followed.update(image)
            score = 1.0 if found.score is None else found.score
            server.status([(_region(found, output), {"confidence": score})])


def _load(
    weights: str, benchmark: str, device: str, settings: Iterable[str], refine: str | None = None
) -> Tracker:
    file = weights_file(weights, "tracker", device)
    engine = load_engine(weights=file, device=device, engine=engine_of(file))  # results are compared
    config = for_benchmark(engine.config, benchmark, overrides=settings)
    refiner = None
    if refine is not None:
        file = weights_file(refine, "refiner", device)
        refiner = load_refiner(file, device=device, engine=engine_of(file))
    return Tracker(engine, refiner, settings=config.tracking)


def _read(path: str) -> Image:
    file = Path(path)
    return read_image(Folder(file.parent), file.name)


def _enclosing(region: Any) -> Box:
    """Return the box around a box, a polygon's corners x,y,x,y…, or a mask."""
    values = np.asarray(region, dtype=np.float64)
    if values.shape == (4,):
        return values
    if values.ndim == 1 and len(values) >= 6 and len(values) % 2 == 0:
        corners = values.reshape(-1, 2)
        return xyxy_to_xywh(np.concatenate([corners.min(axis=0), corners.max(axis=0)]))
    if values.ndim == 2:
        return np.array(box_of_mask(values > 0))
    raise InputError(f"a VOT region must be a box, a polygon or a mask, got shape {list(values.shape)}")


def _bounds(objects: Any) -> Box:
    """Return the box around the one object that the toolkit names."""
    import trax

    if len(objects) != 1:
        raise InputError(
            f"this tracker follows one object, the toolkit gave {len(objects)}; use a single-object stack"
        )
    region, _properties = objects[0]
    if region.type == trax.Region.MASK:
        left, top = region.offset()
        box = np.array(box_of_mask(region.array() > 0))
        return box + np.array([left, top, 0.0, 0.0])
    return np.array(region.bounds(), dtype=np.float64)


def _region(found: TrackOutput, output: Output) -> Any:
    import trax

    if output == "box":
        return trax.Rectangle.create(*found.box_xywh.tolist())
    unknown = np.zeros((1, 1), bool)
    region = mask_region(unknown if found.mask is None else found.mask, found.box_xywh)
    return trax.Mask.create(region.pixels.astype(np.uint8), *region.corner_xy)
