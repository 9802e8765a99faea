"""The folder that `starktrack explain` fills: a video, a strip, the score, and every head of chosen frames."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from starktrack.arrays import Image
from starktrack.data.track_output import TrackedFrame
from starktrack.data.video.image_files import write_image
from starktrack.data.video.writer import VideoWriter
from starktrack.errors import InputError
from starktrack.explanation.engine import Explanation
from starktrack.explanation.film import film_frame
from starktrack.explanation.pictures import head_tiles, score_curve, summary_tiles
from starktrack.tracking.overlay import draw_boxes, image_grid

STRIP_ROWS = 8
"""Most frames in the strip; of a longer video it has every second, fourth, eighth … picture."""

_SCORE_SIZE_HW = (240, 960)


class ExplainOutputs:
    """Writes frames with their explanations; the video appears when it is complete."""

    def __init__(self, folder: Path, every: int, frame_rate: float | None, threshold: float) -> None:
        self.paths: list[Path] = []
        self._folder, self._every, self._frame_rate = folder, every, frame_rate
        self._threshold = threshold
        self._scores: list[float | None] = []
        self._rows: list[tuple[int, Mapping[str, Image]]] = []
        self._rows_apart = 1
        self._stack = ExitStack()
        self._video: VideoWriter | None = None

    def __enter__(self) -> "ExplainOutputs":
        """Make the folder."""
        try:
            (self._folder / "frames").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"--out must be a folder that can be made, got {self._folder}: {error.strerror}"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Complete the video, and write the pictures that need all frames."""
        self._stack.__exit__(kind, error, trace)
        if self._video is not None and self._video.path.is_file():
            self.paths.append(self._video.path)
        if self._rows:
            tiles = [
                (f"frame {index}: {name}", tile) for index, row in self._rows for name, tile in row.items()
            ]
            strip = image_grid(
                [tile for _, tile in tiles], len(self._rows[0][1]), [name for name, _ in tiles]
            )
            self._write("strip.png", strip)
        if any(score is not None for score in self._scores):
            self._write("score.png", score_curve(self._scores, _SCORE_SIZE_HW, self._threshold))

    def write(self, tracked: TrackedFrame, explanation: Explanation | None) -> None:
        """Add a frame; the first one, with the given box, has no explanation."""
        if explanation is None:
            return
        self._scores.append(explanation.score)
        output = tracked.output
        picture = draw_boxes(tracked.image, {0: output.box_xywh}, {0: output.score})
        shown = film_frame(picture, explanation, self._scores, self._threshold)
        if self._video is None:
            path = self._folder / "explained.mp4"
            self._video = self._stack.enter_context(VideoWriter(path, shown.shape[:2], self._frame_rate))
        self._video.write(shown, tracked.seconds)
        if (len(self._scores) - 1) % self._every == 0:
            self._picture(tracked.index, explanation)

    def _picture(self, index: int, explanation: Explanation) -> None:
        tiles = summary_tiles(explanation)
        if (len(self._scores) - 1) // self._every % self._rows_apart == 0:
            self._rows.append((index, tiles))
        if len(self._rows) > STRIP_ROWS:
            self._rows, self._rows_apart = self._rows[::2], 2 * self._rows_apart
        self._write(f"frames/{index:06d}.png", image_grid(list(tiles.values()), 3, list(tiles)))
        for name, attention in (("encoder", explanation.encoder), ("decoder", explanation.decoder)):
            if attention is not None:
                heads = head_tiles(explanation, attention)
                grid = image_grid(list(heads.values()), attention.shape[1], list(heads))
                self._write(f"frames/{index:06d}-{name}.png", grid)

    def _write(self, name: str, picture: Image) -> None:
        write_image(self._folder / name, picture)
        if "/" not in name:
            self.paths.append(self._folder / name)
