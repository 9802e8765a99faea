"""Clips made on the spot: frame i is a grey of level 10 + 4 i, so that its colour gives the number of a frame."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest


def grey(index, size_hw=(48, 64)):
    return np.full((*size_hw, 3), 10 + 4 * index, np.uint8)


def index_of(image):
    return round((float(image.mean()) - 10) / 4)


@pytest.fixture(name="index_of")
def index_of_fixture():
    return index_of


@pytest.fixture
def make_clip(tmp_path):
    def make(
        name="clip.mp4",
        images=None,
        *,
        milliseconds=None,
        codec="libx264",
        container_options=None,
        rotation=None,
        options=None,
        rate=25,
        pix_fmt="yuv420p",
        aspect=None,
        last_milliseconds=None,
    ):
        images = [grey(i) for i in range(20)] if images is None else images
        clock = 1 / Fraction(rate) if milliseconds is None else Fraction(1, 1000)
        times = range(len(images)) if milliseconds is None else milliseconds
        path = tmp_path / name
        with av.open(str(path), "w", container_options=container_options or {}) as container:
            stream = container.add_stream(codec, rate=rate, options=options or {})
            stream.height, stream.width = images[0].shape[:2]
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else pix_fmt
            stream.codec_context.time_base = clock
            if aspect is not None:
                stream.codec_context.sample_aspect_ratio = aspect
            if rotation is not None:
                stream.set_display_rotation(rotation)
            packets = []
            for image, when in zip(images, times, strict=True):
                frame = av.VideoFrame.from_ndarray(image)
                frame.pts, frame.time_base = when, clock
                packets += stream.encode(frame)
            packets += stream.encode()
            if last_milliseconds is not None:
                max(packets, key=lambda packet: packet.pts).duration = last_milliseconds
            container.mux(packets)
        return path

    return make


@pytest.fixture
def make_folder(tmp_path):
    def make(names, size_hw=(48, 64)):
        folder = tmp_path / "frames"
        folder.mkdir()
        for index, name in enumerate(names):
            assert cv2.imwrite(str(folder / name), grey(index, size_hw))
        return folder

    return make


@pytest.fixture
def noise():
    """Frames that do not compress, so that a byte of the file is a place in the video."""
    random = np.random.default_rng(0)
    return [random.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(40)]


@pytest.fixture
def cut():
    def cut_file(path, share):
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        return path

    return cut_file
