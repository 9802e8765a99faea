"""Honest and hostile checkpoints, videos, images and archives, small enough that a case takes milliseconds."""

import io
import os
import pickle
import struct
import tempfile
import warnings
import zipfile
import zlib
from functools import partial
from pathlib import Path

import numpy as np
from scripts.fuzz.runner import Files

CANARY_PORT = 47813
"""Where a reader listens: no video may make it connect to an address that stands in the file."""

_SIZE_WH = (32, 16)
ROOT = Path(__file__).resolve().parents[2]


def pictures(count: int = 6, size_wh: tuple[int, int] = _SIZE_WH) -> list[np.ndarray]:
    """Return noisy pictures."""
    width, height = size_wh
    return list(np.random.default_rng(0).integers(0, 255, (count, height, width, 3), dtype=np.uint8))


# Checkpoints.


class Payload:
    """Runs a command where a file is unpickled."""

    def __reduce__(self) -> tuple:
        """Return the call."""
        return os.system, ("touch canary",)


def checkpoints() -> dict[str, Files]:
    """Return checkpoints of every form: two pickled ones, ours, a run's, exported; honest and hostile."""
    import safetensors.torch
    import torch
    from tests.training.tiny import tiny_config

    from starktrack.config.metadata import to_metadata
    from starktrack.engines.export import export_onnx
    from starktrack.kinds import kind_of

    made: dict[str, bytes] = {}
    net = {f"layer.{i}.weight": torch.full((4, 4), float(i)) for i in range(6)}
    for name, root in (("good", {"epoch": 3, "net_type": "STARKS"}), ("hostile", {"payload": Payload()})):
        for form in (True, False):
            buffer = io.BytesIO()
            torch.save({"net": net, **root}, buffer, _use_new_zipfile_serialization=form)
            made[f"{name}_{'zip' if form else 'legacy'}.pth.tar"] = buffer.getvalue()
    made["plain.pth.tar"] = pickle.dumps(Payload(), 2)
    made["nested.pth.tar"] = pickle.dumps(_nested(100_000), 2)
    torch.manual_seed(0)
    config = tiny_config()
    network = kind_of(config).build(config.model).eval()
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    made["tiny.safetensors"] = safetensors.torch.save(state, to_metadata(config))
    made["step-000000003.safetensors"] = safetensors.torch.save(
        net, {"starktrack.progress": '{"num_steps": 3}', "starktrack.scaler": "{}"}
    )
    exported = ROOT / "build" / "fuzz" / "tiny.onnx"
    if not exported.exists():  # the exporter takes many seconds, and differs in nothing from run to run
        exported.parent.mkdir(parents=True, exist_ok=True)
        export_onnx(network, config, exported)
    made["tiny.onnx"] = exported.read_bytes()
    return {name: {name: content} for name, content in made.items()}


def _nested(depth: int) -> list:
    """Return a list in a list in a list, as a pickle that is written without recursion would have it."""
    root: list = []
    for _ in range(min(depth, 200)):  # pickle itself recurses; mutation repeats the parts
        root = [root]
    return root


# Videos.

_CONTAINERS = (
    *(
        ("a.mp4", "libx264"),
        ("a.mov", "libx264"),
        ("a.mkv", "libx264"),
        ("a.ts", "libx264"),
        ("a.flv", "libx264"),
    ),
    *(("a.webm", "libvpx-vp9"), ("b.webm", "libvpx"), ("a.avi", "mpeg4"), ("a.mpg", "mpeg2video")),
    *(("a.wmv", "wmv2"), ("b.mkv", "ffv1"), ("b.mov", "mjpeg"), ("c.mov", "prores"), ("b.avi", "huffyuv")),
    *(
        ("a.gif", "gif"),
        ("a.y4m", "rawvideo"),
        ("a.264", "libx264"),
        ("a.m2v", "mpeg2video"),
        ("a.nut", "ffv1"),
    ),
    *(("a.ivf", "libvpx"), ("a.mxf", "mpeg2video"), ("a.3gp", "mpeg4"), ("hevc.mp4", "libx265")),
    *(("av1.mp4", "libsvtav1"), ("c.mkv", "msmpeg4")),
)
"""Every container and codec that `starktrack doctor` lists or that users bring."""

_FORMATS = {"a.264": "h264", "a.y4m": "yuv4mpegpipe"}
_PIXELS = {"mjpeg": "yuvj420p", "gif": "rgb8", "prores": "yuv422p10le", "huffyuv": "yuv422p"}
_OPTIONS = {"libx265": {"x265-params": "log-level=none:pools=none:frame-threads=1"}}


def videos() -> dict[str, Files]:
    """Return a clip in every container, endless groups of pictures, huge sizes, and lists of addresses."""
    import av

    os.environ["SVT_LOG"] = "0"  # its encoder writes to standard error
    made: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, codec in _CONTAINERS:
            size_wh = (64, 64) if codec in ("libsvtav1", "libx265", "prores") else _SIZE_WH
            try:
                made[name] = _clip(Path(folder) / name, codec, pictures(6, size_wh))
            except (av.FFmpegError, ValueError):  # a codec that this build lacks, or a size it refuses
                continue
        for name, codec in (("endless.mkv", "mpeg4"), ("endless.mp4", "mpeg4"), ("endless.avi", "mpeg4")):
            still = pictures(1, (16, 16)) * 1500
            made[name] = _clip(
                Path(folder) / name, codec, still, {"g": "100000", "sc_threshold": "1000000000"}
            )
    made |= _huge_videos(made)
    made["hls.mp4"] = (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:{CANARY_PORT}/a.ts\n"
        "#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    ).encode()
    made["live.m3u8"] = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.ts\n"
    made["concat.mp4"] = (
        f"ffconcat version 1.0\nfile http://127.0.0.1:{CANARY_PORT}/a.ts\nfile /etc/passwd\n".encode()
    )
    made["session.sdp"] = (
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    )
    beside = {"a.ts": made["a.ts"]}
    return {
        name: {name: content, **(beside if name in ("live.m3u8", "hls.mp4") else {})}
        for name, content in made.items()
    }


def _clip(path: Path, codec: str, images: list[np.ndarray], options: dict[str, str] | None = None) -> bytes:
    import av

    container_options = {"fflags": "+bitexact"}
    with av.open(str(path), "w", format=_FORMATS.get(path.name), options=container_options) as container:
        stream = container.add_stream(
            codec, rate=25, options={"threads": "1", **_OPTIONS.get(codec, {}), **(options or {})}
        )
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = _PIXELS.get(codec, "yuv420p")
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode())
    return path.read_bytes()


def _huge_videos(made: dict[str, bytes]) -> dict[str, bytes]:
    """Return clips whose headers declare 100,000 pixels and more, and hold as little as before."""
    width, height = _SIZE_WH
    huge = 100_000
    found: dict[str, bytes] = {}
    for name, content in made.items():
        for number, (old, new) in enumerate(
            (
                (
                    struct.pack(">HH", width, height),
                    struct.pack(">HH", 0xFFF0, 0xFFF0),
                ),  # a sample entry of MP4
                (struct.pack("<II", width, height), struct.pack("<II", huge, huge)),  # AVI
                (struct.pack("<HH", width, height), struct.pack("<HH", 0xFFF0, 0xFFF0)),  # IVF, GIF
                (
                    struct.pack(">II", width << 16, height << 16),
                    struct.pack(">II", 60_000 << 16, 60_000 << 16),
                ),
                (bytes((0xB0, 0x81, width, 0xBA, 0x81, height)), b"\xb0\x81\xff\xba\x81\xff"),  # Matroska
                (b"W32 H16", b"W100000 H100000"),  # Y4M
            )
        ):
            if old in content:
                found[f"huge{number}_{name}"] = content.replace(old, new)
    return found


# Images.


def images() -> dict[str, Files]:
    """Return a picture in every format, animations, stacks, deep pictures, and bombs."""
    import cv2

    image = pictures(1)[0]
    made: dict[str, bytes] = {}
    for name in ("a.png", "a.jpg", "a.webp", "a.bmp", "a.tiff", "a.gif", "a.avif", "a.jp2", "a.ppm", "a.pgm"):
        drawn = {"a.pgm": image[..., 0], "a.jp2": pictures(1, (64, 64))[0]}.get(name, image)
        made[name] = cv2.imencode(Path(name).suffix, drawn)[1].tobytes()
    made["deep.png"] = cv2.imencode(".png", image.astype(np.uint16) * 200)[1].tobytes()
    made["deep.tiff"] = cv2.imencode(".tiff", image[..., 0].astype(np.float32))[1].tobytes()
    made["alpha.png"] = cv2.imencode(".png", np.dstack([image, image[..., 0]]))[1].tobytes()
    made["labels.png"] = _labels()
    with tempfile.TemporaryDirectory() as folder:
        moving = cv2.Animation()
        moving.frames, moving.durations = pictures(3), [40] * 3
        for name in ("moving.png", "moving.webp", "moving.gif", "moving.avif"):
            cv2.imwriteanimation(f"{folder}/{name}", moving)
            made[name] = (Path(folder) / name).read_bytes()
        cv2.imwritemulti(f"{folder}/stack.tiff", pictures(3))
        made["stack.tiff"] = (Path(folder) / "stack.tiff").read_bytes()
    # A picture of 25,000 x 25,000 black pixels in 600 kB, and headers that promise more than follows.
    made["bomb.png"] = png_of_zeros(25_000, 25_000)
    made["huge.png"] = png_of_zeros(100_000, 100_000, num_rows=1)
    made["huge.ppm"] = b"P6 100000 100000 255\n" + bytes(100)
    made["huge.bmp"] = made["a.bmp"][:18] + struct.pack("<ii", 100_000, 100_000) + made["a.bmp"][26:]
    made["huge.gif"] = made["a.gif"][:6] + struct.pack("<HH", 0xFFFF, 0xFFFF) + made["a.gif"][10:]
    made["huge.jpg"] = _huge_jpeg(made["a.jpg"])
    return {name: {name: content, "good.png": made["a.png"]} for name, content in made.items()}


def _labels() -> bytes:
    import PIL.Image

    buffer = io.BytesIO()
    picture = PIL.Image.fromarray(pictures(1)[0][..., 0] % 3).convert("P")
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def png_of_zeros(width: int, height: int, num_rows: int | None = None) -> bytes:
    """Return a PNG of black grey pixels; `num_rows` of them follow the header, by default all."""

    def chunk(kind: bytes, inside: bytes) -> bytes:
        return struct.pack(">I", len(inside)) + kind + inside + struct.pack(">I", zlib.crc32(kind + inside))

    packer = zlib.compressobj(9)
    row = bytes(1 + width)
    rows = b"".join(packer.compress(row) for _ in range(height if num_rows is None else num_rows))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", rows + packer.flush()), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in parts)


def _huge_jpeg(content: bytes) -> bytes:
    place = content.index(b"\xff\xc0") + 5
    return content[:place] + struct.pack(">HH", 65_500, 65_500) + content[place + 4 :]


# Archives of data.


def archives() -> dict[str, Files]:
    """Return archives of a data set: whole, bombs, names that lead outside, names twice, archives in archives."""
    import cv2

    frames = {
        f"cat/{i:08d}.png": cv2.imencode(".png", image)[1].tobytes() for i, image in enumerate(pictures(3), 1)
    }
    frames["cat/groundtruth.txt"] = b"1,2,3,4\n" * 3
    made = {
        "whole.zip": pack(frames),
        "bomb.zip": pack_bomb({**frames, "cat/00000001.png": b""}, 3000),
        "text.zip": pack_bomb({**frames, "cat/groundtruth.txt": b""}, 3000),
        "outside.zip": pack(
            {**frames, "../../canary": b"x", "/var/starktrack-canary": b"x", "cat/../../canary": b"x"}
        ),
        "inner.zip": pack({"data.zip": pack(frames), **frames}),
        "bzip2.zip": pack(frames, zipfile.ZIP_BZIP2),
        "lzma.zip": pack(frames, zipfile.ZIP_LZMA),
        "stored.zip": pack(frames, zipfile.ZIP_STORED),
        "twice.zip": pack(frames, twice="cat/groundtruth.txt"),
        "many.zip": pack({f"cat{i}/groundtruth.txt": b"1,2,3,4\n" for i in range(200)}),
    }
    return {name: {name: content} for name, content in made.items()}


def pack_bomb(files: Files, num_mebibytes: int) -> bytes:
    """Return a zip whose first empty file unpacks to so many MiB of zeros, packed to a thousandth of that."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(bytes(2**20)) + packer.flush(
        zlib.Z_FULL_FLUSH
    )  # stands by itself, so it can repeat
    name = next(name for name, content in files.items() if not content)
    plain = pack({**files, name: b"here"}, zipfile.ZIP_STORED)
    bomb, size = block * num_mebibytes + packer.flush(), num_mebibytes << 20
    buffer = bytearray(plain)
    with zipfile.ZipFile(io.BytesIO(plain)) as archive:
        entry, directory = archive.getinfo(name), archive.start_dir
    start = entry.header_offset + 30 + len(name.encode())
    buffer[start : start + 4] = bomb
    shift = len(bomb) - 4
    packed = struct.pack("<III", entry.CRC, len(bomb), size)
    buffer[entry.header_offset + 8 : entry.header_offset + 10] = struct.pack("<H", zipfile.ZIP_DEFLATED)
    buffer[entry.header_offset + 14 : entry.header_offset + 26] = packed
    place = directory + shift
    while buffer[place : place + 4] == b"PK\1\2":
        name_size, extra, comment = struct.unpack_from("<HHH", buffer, place + 28)
        (offset,) = struct.unpack_from("<I", buffer, place + 42)
        if buffer[place + 46 : place + 46 + name_size] == name.encode():
            struct.pack_into("<H", buffer, place + 10, zipfile.ZIP_DEFLATED)
            buffer[place + 16 : place + 28] = packed
        elif offset > entry.header_offset:
            struct.pack_into("<I", buffer, place + 42, offset + shift)
        place += 46 + name_size + extra + comment
    struct.pack_into("<I", buffer, place + 16, directory + shift)
    return bytes(buffer)


def pack(files: Files, method: int = zipfile.ZIP_DEFLATED, twice: str = "") -> bytes:
    """Return a zip of these files; the name `twice` is there a second time with other content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write = partial(archive.writestr, compress_type=method)
        for name, content in files.items():
            write(zipfile.ZipInfo(name), content)
        if twice:
            write(zipfile.ZipInfo(twice), b"x")
    return buffer.getvalue()
