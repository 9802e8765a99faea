"""Collects a tracker's outputs until the video ends and writes them in any format."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from starktrack.data.track_output import TrackOutput
from starktrack.errors import VideoBrokenError
from starktrack.interchange.building import TrackBuilder, rectangle
from starktrack.interchange.format import Format
from starktrack.interchange.registry import check_place, write
from starktrack.interchange.tracks import Mask, Observation, Shape


class TrackRecorder:
    """Collects a tracker's outputs and writes them as annotations at the end of the `with` block.

    The block writes the file at its end and after a `VideoBrokenError` of the source, and nothing after any other
    error. Without outputs there is no file. A target has its mask if the format keeps masks, else its box.

    Attributes:
        paths: The written files; empty before the end.

    Raises:
        AnnotationError: The place does not suit the format.

    Example:
        >>> import numpy as np
        >>> from starktrack import interchange
        >>> output = TrackOutput(box_xywh=np.array([1.0, 2.0, 3.0, 4.0]), frame_index=0, score=0.9)
        >>> with TrackRecorder(Path("tracks.csv"), interchange.FORMATS["csv"]) as recorder:
        ...     recorder.write(output)
        >>> [str(path) for path in recorder.paths]
        ['tracks.csv']
    """

    def __init__(
        self,
        path: Path,
        target: Format,
        *,
        labels: Mapping[int, str] | None = None,
        name: str = "",
        size_hw: tuple[int, int] | None = None,
        frame_rate: float | None = None,
    ) -> None:
        check_place(path, target)
        self.paths: tuple[Path, ...] = ()
        self._path, self._format = path, target
        self._labels = labels or {}
        self._info = {"name": name, "size_hw": size_hw, "frame_rate": frame_rate}
        self._builder, self._length = TrackBuilder(), 0

    def __enter__(self) -> "TrackRecorder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the file, unless an error other than `VideoBrokenError` was raised."""
        if self._length and (error is None or isinstance(error, VideoBrokenError)):
            video = self._builder.build(num_frames=self._length, **self._info)
            self.paths = tuple(write(self._path, video, self._format.name))

    def write(self, output: TrackOutput) -> None:
        """Keep where one target is in one frame."""
        mask = None
        if output.mask is not None and "masks" in self._format.keeps:
            mask = Mask.of_pixels(output.mask)
        shape: Shape = mask or rectangle(*output.box_xywh.tolist())
        attributes = {} if output.state is None else {"state": str(output.state)}
        if output.template_updated and "template_updated" in self._format.own_attributes:
            attributes["template_updated"] = "true"
        seen = Observation(
            output.frame_index, shape, seconds=output.seconds, score=output.score, attributes=attributes
        )
        label = self._labels.get(output.target_id, "")
        self._builder.add(output.target_id, seen, f"frame {output.frame_index}", label)
        self._length = max(self._length, output.frame_index + 1)
