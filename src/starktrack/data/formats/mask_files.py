"""Outlines as files: a picture of labels per frame, and run lengths of all frames in one JSON.

Pictures are PNGs with a palette, as DAVIS has them: 0 is nobody, target t is t + 1. Run lengths are COCO's
uncompressed form: column by column, beginning with what is not the target's.
"""

import io
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import Bool, UInt8

from starktrack.data.formats.regions import run_lengths
from starktrack.errors import InputError, VideoBrokenError
from starktrack.files import OutputFile, check_new_folder, named_write

RUNS = "masks.json"
"""Name of the file of run lengths beside the pictures."""

PALETTE = ((0, 0, 0), (0, 114, 178), (230, 159, 0), (0, 158, 115), (213, 94, 0), (204, 121, 167))
"""RGB of the labels, those of the overlay; more targets begin again with the second, a shade off."""


class MaskWriter:
    """A folder of outlines being written; it appears under its name when it is whole.

    `NNNNNN.png` is the frame of that number in the source; `masks.json` holds, one object a line, `frame`,
    `target`, `size` (height, width) and `counts`. Where targets overlap, the picture shows the later one.

    Leaving the `with` block keeps the folder when nothing was raised or the source broke off
    (`VideoBrokenError`), and removes it on any other error. Without frames there is no folder.

    Raises:
        InputError: The place is a file, a folder that holds something, or cannot be written to.
    """

    def __init__(self, path: Path) -> None:
        check_mask_folder(path)
        self.path = path
        self._folder = OutputFile(path)
        self._lines: list[str] = []

    def __enter__(self) -> "MaskWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep the folder, or remove it on an error other than a source that broke off."""
        try:
            if (error is None or isinstance(error, VideoBrokenError)) and self._folder.partial.is_dir():
                with named_write(self.path):
                    text = "[\n" + ",\n".join(self._lines) + "\n]\n"
                    (self._folder.partial / RUNS).write_text(text, encoding="utf-8")
                    self._folder.keep()
        finally:
            self._folder.discard()

    def write(self, frame: int, masks: Mapping[int, Bool[np.ndarray, "height width"]]) -> None:
        """Append the outlines of one frame, by target; there is at least one."""
        labels = np.zeros(next(iter(masks.values())).shape, np.uint8)
        for target, mask in masks.items():
            labels[mask] = target + 1
            entry = {
                "frame": frame,
                "target": target,
                "size": list(mask.shape),
                "counts": run_lengths(mask.T),
            }
            self._lines.append(json.dumps(entry, separators=(",", ":")))
        with named_write(self.path):
            self._folder.partial.mkdir(exist_ok=True)
            (self._folder.partial / f"{frame:06d}.png").write_bytes(label_png(labels))


def check_mask_folder(path: Path) -> None:
    """Check that a folder of outlines can be written there, before the work that fills it.

    Raises:
        InputError: A file, a folder that holds something, or a place that cannot be written to.
    """
    check_new_folder(path, "a folder of masks")
    if not path.parent.is_dir():
        raise InputError(f"a folder of masks must lie in a folder that exists; create {path.parent}")


def label_png(labels: UInt8[np.ndarray, "height width"]) -> bytes:
    """Return a PNG whose pixels are the labels and whose palette gives them colours."""
    import PIL.Image

    colours = np.zeros((256, 3), np.uint8)
    number = np.arange(255, dtype=np.uint8)[:, None]
    # Colours that come again differ a little, since readers without palettes tell labels by them.
    colours[1:] = np.resize(np.array(PALETTE[1:], np.uint8), (255, 3)) ^ (number // len(PALETTE[1:]))
    height, width = labels.shape
    picture = PIL.Image.frombytes("P", (width, height), np.ascontiguousarray(labels).tobytes())
    picture.putpalette(colours.tobytes())
    content = io.BytesIO()
    # Level 1 takes half the time of the default, and labels are so smooth that the file is no larger.
    picture.save(content, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
    return content.getvalue()
