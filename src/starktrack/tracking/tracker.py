"""The tracker of one video: targets, time and settings, no tensor algebra. One target is a batch of one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn, TypeAlias

import numpy as np

from starktrack.arrays import Box, Image
from starktrack.config.schema import TrackingConfig
from starktrack.data.track_output import TrackedFrame, TrackOutput
from starktrack.data.video.frame_stream import Frame
from starktrack.errors import InputError
from starktrack.geometry.boxes import check_box
from starktrack.tracking.images import Color, as_rgb
from starktrack.tracking.protocol import BoxQueries, Engine, Refiner
from starktrack.tracking.refinement import refine
from starktrack.tracking.target import Target, advance, begin
from starktrack.tracking.target_boxes import TargetChanges, changes_of

TargetBoxes: TypeAlias = Any
"""One box x,y,w,h; a list of boxes; a mapping from target id to box; or an iterator of changes.

A change is a pair of a frame index and a mapping from target id to the box to track from that frame on, or to None
for a target to remove. A box for an id that is tracked already starts that target again.
"""


class Tracker:
    """One or more targets in one video.

    Args:
        engine: The network. It is not changed, so that several trackers can share it.
        refiner: A second network that corrects the box of each output and adds an outline. The tracker itself
            continues from its own boxes.
        settings: Tracking settings; by default those stored with the weights.
        color: Order of the channels of arrays that the methods get: `rgb`, or `bgr` as OpenCV reads pictures.

    Frames are RGB uint8 arrays `[H, W, 3]`. Grey arrays, Pillow images and uint8 torch tensors are taken as well.

    Example:
        >>> import starktrack
        >>> from starktrack.data.synthetic.clip import synthetic_clip
        >>> clip = list(synthetic_clip(3, size_hw=(96, 128)))
        >>> tracker = starktrack.load()
        >>> tracker.start(clip[0].image, clip[0].box_xywh)
        [0]
        >>> tracker.update(clip[1].image).state
        <TargetState.TRACKED: 'tracked'>
    """

    def __init__(
        self,
        engine: Engine,
        refiner: Refiner | None = None,
        *,
        settings: TrackingConfig | None = None,
        color: Color = "rgb",
    ) -> None:
        self.engine = engine
        self.refiner = refiner
        self.settings = engine.config.tracking if settings is None else settings
        self.color: Color = color
        self._targets: dict[int, Target] = {}
        self._next_id = 0
        self._frame_index = 0
        self._size_hw: tuple[int, ...] = ()

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied: a network in memory belongs to its process.

        Raises:
            InputError: Always; the message says what to do.
        """
        raise InputError(
            "a tracker cannot be pickled or copied; call starktrack.load in each process, "
            "or make several trackers of one engine: Tracker(tracker.engine)"
        )

    @property
    def target_ids(self) -> list[int]:
        """Ids of the targets that are tracked, in the order in which they were added."""
        return list(self._targets)

    def start(
        self,
        image: Any,
        box_xywh: Any | None = None,
        *,
        boxes_xywh: Iterable[Any] | Mapping[int, Any] | None = None,
        color: Color | None = None,
    ) -> list[int]:
        """Forget all targets and start these on frame 0; return their ids.

        Args:
            image: First frame.
            box_xywh: The target's box, pixels; or
            boxes_xywh: the boxes of several targets, a list (ids from 0) or a mapping from id to box.
            color: Order of the image's channels; without it the tracker's.

        Raises:
            BoxError: A box cannot be tracked in this image; nothing is forgotten then.
            InputError: The image cannot be taken, or not exactly one of the two boxes arguments is given.
        """
        if (box_xywh is None) == (boxes_xywh is None):
            raise InputError("start needs either box_xywh=(x, y, w, h) or boxes_xywh=[...], got both or none")
        given = [box_xywh] if boxes_xywh is None else boxes_xywh
        boxes = dict(given) if isinstance(given, Mapping) else dict(enumerate(given))
        if not boxes:
            raise InputError("boxes_xywh must hold at least one box, got none")
        frame = as_rgb(image, color or self.color)
        # All boxes are checked before anything is forgotten.
        new = self._begin(frame, boxes)
        self._targets, self._next_id, self._frame_index = new, max(new) + 1, 0
        self._size_hw = frame.shape[:2]
        return list(new)

    def add(
        self, image: Any, box_xywh: Any, *, target_id: int | None = None, color: Color | None = None
    ) -> int:
        """Start one more target on the latest frame; return its id.

        Args:
            image: The latest frame.
            box_xywh: The target's box, pixels.
            target_id: The id to give; of a target that is tracked already, to start it again with this box.
            color: Order of the image's channels; without it the tracker's.

        Raises:
            BoxError: The box cannot be tracked in this image.
            InputError: The image cannot be taken or has another size, or the id is not a number from 0 on.
        """
        new_id = self._next_id if target_id is None else target_id
        frame = as_rgb(image, color or self.color)
        self._check_size(frame)
        self._targets |= self._begin(frame, {new_id: box_xywh})
        self._size_hw = frame.shape[:2]
        self._next_id = max(self._next_id, new_id + 1)
        return new_id

    def remove(self, target_id: int) -> None:
        """Forget one target.

        Raises:
            InputError: There is no such target.
        """
        self._require(target_id)
        del self._targets[target_id]

    def last_box(self, target_id: int) -> Box:
        """Return the latest box of a target, predicted or given; image pixels.

        Raises:
            InputError: There is no such target.
        """
        return self._require(target_id).box_xywh

    def first_outputs(self, image: Any, *, color: Color | None = None) -> dict[int, TrackOutput]:
        """Return the latest box of every target, for the frame in which they were given, by id.

        With a refiner there is an outline too; a box that was given is never changed.
        """
        return self._given(as_rgb(image, color or self.color), list(self._targets), None)

    def update(self, image: Any, *, color: Color | None = None, seconds: float | None = None) -> TrackOutput:
        """Return the output of the one target in the next frame.

        Args:
            image: The next frame.
            color: Order of its channels; without it the tracker's.
            seconds: When it is shown; only passed on to the output.

        Raises:
            InputError: There is not exactly one target (see `update_all`), or the image cannot be taken or has another
                size than the frames before it.
        """
        if len(self._targets) != 1:
            raise InputError(
                f"update is for exactly one target, got {len(self._targets)}; use start first, "
                "or update_all for several"
            )
        return next(iter(self.update_all(image, color=color, seconds=seconds).values()))

    def update_all(
        self, image: Any, *, color: Color | None = None, seconds: float | None = None
    ) -> dict[int, TrackOutput]:
        """Return the outputs of all targets in the next frame, by id, from one forward pass.

        Args:
            image: The next frame.
            color: Order of its channels; without it the tracker's.
            seconds: When it is shown; only passed on to the outputs.

        Raises:
            InputError: The image cannot be taken, or has another size than the frames before it.
        """
        outputs = self._advance(as_rgb(image, color or self.color), seconds)
        self._frame_index += 1
        return {
            target_id: replace(output, frame_index=self._frame_index) for target_id, output in outputs.items()
        }

    def track(
        self, frames: Iterable[Any], boxes: TargetBoxes | None = None, *, color: Color | None = None
    ) -> Iterator[TrackedFrame]:
        """Yield every frame with the outputs of all targets; one frame is held at a time.

        Args:
            frames: Images, or `Frame`s of `starktrack.open_frames`, which carry their index and time.
            boxes: The targets, see `TargetBoxes`; all targets before are forgotten. Boxes without a frame index
                lie on the first frame, where the output is the given box. Without boxes the targets that were
                started go on, and `frames` begins after the frame that they were started on.
            color: Order of the images' channels; without it the tracker's.

        Raises:
            BoxError: A box cannot be tracked on its frame.
            InputError: A frame cannot be taken, or changes are out of order or past the last frame.
            VideoBrokenError: The frames broke off; all before were yielded.

        Example:
            >>> import starktrack
            >>> from starktrack.data.synthetic.clip import synthetic_clip
            >>> clip = list(synthetic_clip(3, size_hw=(96, 128)))
            >>> tracker = starktrack.load()
            >>> for tracked in tracker.track([frame.image for frame in clip], clip[0].box_xywh):
            ...     print(tracked.index, tracked.output.target_id, tracked.output.score is not None)
            0 0 False
            1 0 True
            2 0 True
        """
        changes: TargetChanges | None = None
        if boxes is not None:
            changes = changes_of(boxes)
            # The first of images without an index gets index 0.
            self._targets, self._next_id, self._frame_index = {}, 0, -1
        for each in frames:
            if isinstance(each, Frame):
                frame = replace(each, image=as_rgb(each.image))
            else:
                frame = Frame(as_rgb(each, color or self.color), self._frame_index + 1, None)
            new = {} if changes is None else changes.at(frame.index)
            for target_id in [i for i, box in new.items() if box is None]:
                self.remove(target_id)
            started = {i: box for i, box in new.items() if box is not None}
            # A target that starts again has its given box in this frame, so it is not searched here.
            for target_id in started:
                self._targets.pop(target_id, None)
            outputs = self._advance(frame.image, frame.seconds)
            if started:
                self._targets |= self._begin(frame.image, started)
                self._size_hw = frame.image.shape[:2]
                self._next_id = max(self._next_id, max(started) + 1)
                outputs |= self._given(frame.image, list(started), frame.seconds)
            self._frame_index = frame.index
            yield TrackedFrame(
                frame, {i: replace(output, frame_index=frame.index) for i, output in sorted(outputs.items())}
            )
        if changes is not None:
            changes.check_all_used(self._frame_index)

    def _advance(self, image: Image, seconds: float | None) -> dict[int, TrackOutput]:
        self._check_size(image)
        if not self._targets:
            return {}
        targets = list(self._targets.values())
        found = advance(self.engine, targets, [image], [0] * len(targets), settings=self.settings)
        named = [
            replace(output, target_id=i, seconds=seconds)
            for i, output in zip(self._targets, found, strict=True)
        ]
        return {output.target_id: output for output in self._refined(image, named)}

    def _given(self, image: Image, ids: Sequence[int], seconds: float | None) -> dict[int, TrackOutput]:
        """Return the current boxes of targets as outputs, with outlines from the refiner if there is one."""
        given = [
            TrackOutput(
                box_xywh=self._targets[i].box_xywh,
                target_id=i,
                frame_index=self._frame_index,
                seconds=seconds,
            )
            for i in ids
        ]
        refined = self._refined(image, given) if given else []
        return {
            each.target_id: replace(exact, box_xywh=each.box_xywh)
            for each, exact in zip(given, refined, strict=True)
        }

    def _refined(self, image: Image, outputs: list[TrackOutput]) -> list[TrackOutput]:
        if self.refiner is None:
            return outputs
        found = _queries(image, [output.box_xywh for output in outputs])
        templates = [self._targets[output.target_id].refiner_template for output in outputs]
        return [
            replace(output, box_xywh=exact.box_xywh, mask=exact.mask)
            for output, exact in zip(outputs, refine(self.refiner, found, templates), strict=True)
        ]

    def _check_size(self, image: Image) -> None:
        """Refuse a frame of another size, since it may not show the same view."""
        if self._targets and image.shape[:2] != self._size_hw:
            size, got = (f"{width} x {height}" for height, width in (self._size_hw, image.shape[:2]))
            raise InputError(
                f"a frame must be {size} pixels like the frames before it, got {got}; resize it, or start again on it"
            )

    def _require(self, target_id: int) -> Target:
        if target_id not in self._targets:
            raise InputError(f"a target must be one of {self.target_ids}, got {target_id}")
        return self._targets[target_id]

    def _begin(self, image: Image, boxes: Mapping[int, Any]) -> dict[int, Target]:
        for target_id in boxes:
            if not isinstance(target_id, int | np.integer) or isinstance(target_id, bool) or target_id < 0:
                raise InputError(f"a target id must be a whole number from 0 on, got {target_id!r}")
        queries = _queries(image, [check_box(box, image.shape[:2]) for box in boxes.values()])
        targets = begin(self.engine, queries, settings=self.settings)
        if self.refiner is not None:
            for target, template in zip(targets, self.refiner.embed(queries), strict=True):
                target.refiner_template = template
        return {int(target_id): target for target_id, target in zip(boxes, targets, strict=True)}


def _queries(image: Image, boxes: Sequence[Box]) -> BoxQueries:
    return BoxQueries([image], np.zeros(len(boxes), np.int64), np.stack(boxes))
