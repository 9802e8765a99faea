"""Miniature data sets in the published layouts, made in a temporary folder; a cache of their own."""

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest


class Builder:
    """Writes pieces of data sets below `root`; every path is relative to it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def picture(self, path: str, value: int = 0, size_hw: tuple[int, int] = (12, 16)) -> None:
        """A grey picture whose brightness says which frame it is."""
        self.array(path, np.full((*size_hw, 3), value, np.uint8))

    def array(self, path: str, pixels: np.ndarray) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(file), pixels)

    def pictures(self, pattern: str, numbers: range) -> None:
        """Frame number n is n bright."""
        for number in numbers:
            self.picture(pattern.format(number), value=number % 256)

    def lines(self, path: str, lines: list[str]) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines))

    def boxes(self, path: str, count: int, delimiter: str = ",") -> None:
        """Row i is the box (i + 1, 2, 3, 4)."""
        self.lines(path, [delimiter.join(map(str, (index + 1, 2, 3, 4))) for index in range(count)])

    def got10k(self, folder: str, count: int = 3, absent: int | None = None, extension: str = "png") -> None:
        self.pictures(f"{folder}/{{:08d}}.{extension}", range(1, count + 1))
        self.boxes(f"{folder}/groundtruth.txt", count)
        flags = ["1" if index == absent else "0" for index in range(count)]
        self.lines(f"{folder}/absence.label", flags)
        self.lines(f"{folder}/cover.label", ["8" if flag == "0" else "0" for flag in flags])
        meta = ["[METAINFO]", "url: u", "object_class: fox", "resolution: (16, 12)"]
        self.lines(f"{folder}/meta_info.ini", meta)

    def pack(self, folder: str, archive: str, prefix: str = "", method: int = zipfile.ZIP_STORED) -> None:
        """Move everything below `folder` into a zip, each member's name after `prefix`."""
        base = self.root / folder
        with zipfile.ZipFile(self.root / archive, "w", method) as packed:
            for path in sorted(base.rglob("*")):
                if path.is_file():
                    packed.write(path, prefix + path.relative_to(base).as_posix())
        base.rename(self.root.parent / f"packed-{folder.replace('/', '-')}")


@pytest.fixture
def build(tmp_path: Path) -> Builder:
    root = tmp_path / "data"
    root.mkdir()
    return Builder(root)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "starktrack"


@pytest.fixture(scope="session")
def shared_data(shared: Path) -> Path:
    return shared / "data"
