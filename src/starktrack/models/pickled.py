"""The authors' pickled checkpoint files, in both forms of `torch.save`, read without running anything."""

import math
import re
import struct
import sys
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from starktrack.errors import CheckpointError
from starktrack.models.inert_pickle import Inert, Storage, StoredTensor, damaged, read_inert

MAX_PICKLE_BYTES = 4 * 2**20
"""Bound on the pickle inside a file; that of STARK-ST101 has 0.26 MB, the rest of the file is raw numbers."""

_MAX_DIMENSIONS = 8
_ZIP_SPECIAL = 0x61
"""Flag bits of encrypted and patched entries; torch never sets them."""
_LEGACY_START = (0x1950A86A20F9469CFC6C, 1001)
"""Magic number and version, each a pickle of its own."""
_LEGACY_LENGTH_BYTES = 8

_NETWORK_KEYS = ("net", "state_dict", "model", "model_state_dict")
_WRAPPERS = ("module.", "_orig_mod.")

ReadStorage = Callable[[str], bytearray]


@dataclass(frozen=True)
class PickledCheckpoint:
    """What a pickled checkpoint holds that we use.

    Attributes:
        state_dict: The network's tensors by the authors' names, on the CPU; they share memory where they did.
        net_type: The authors' class name, `STARKS`, `STARKST` …, or None where the file does not say.
        epoch: Epochs trained, or None where the file does not say.
    """

    state_dict: dict[str, Tensor]
    net_type: str | None
    epoch: int | None


def read_pickled(path: Path) -> PickledCheckpoint:
    """Return the network's tensors in a file written by the authors' training, or in a bare state dict.

    Nothing in the file is executed, and no storage takes more memory than the file has bytes.

    Raises:
        UnsafeCheckpointError: The pickle names a global beyond tensors, plain containers and the authors'
            settings and statistics.
        CheckpointError: The file is missing, damaged, truncated, no checkpoint, or holds no network.

    Source: the file formats are documented in torch.serialization (torch.save).

    Example:
        >>> checkpoint = read_pickled(Path("STARKS_ep0500.pth.tar"))  # doctest: +SKIP
        >>> checkpoint.net_type, checkpoint.epoch  # doctest: +SKIP
        ('STARKS', 500)
    """
    try:
        with path.open("rb") as file:
            return _read(file, size=path.stat().st_size)
    except CheckpointError as error:
        raise type(error)(f"{path}: {error}") from error
    except (zipfile.BadZipFile, EOFError, NotImplementedError, struct.error, ValueError, KeyError) as error:
        raise CheckpointError(f"{path}: {damaged(str(error))}") from error
    except OSError as error:
        raise CheckpointError(
            f"{path}: a checkpoint must be a file that can be read, got: {error.strerror}; check the path"
        ) from error


def _read(file: BinaryIO, size: int) -> PickledCheckpoint:
    start = file.read(4)
    file.seek(0)
    if start == b"PK\x03\x04":
        with zipfile.ZipFile(file) as archive:
            return _checkpoint(*_read_zip(archive, size))
    if start.startswith(b"\x80"):
        return _checkpoint(*_read_legacy(file, size))
    raise _not_a_checkpoint(f"one that starts with {start!r}" if start else "an empty one")


def _read_zip(archive: zipfile.ZipFile, size: int) -> tuple[Any, ReadStorage]:
    """Read the form since torch 1.6: `<name>/data.pkl` beside `<name>/data/<key>`, all uncompressed."""
    entries = archive.infolist()
    pickles = [entry for entry in entries if re.fullmatch(r"[^/]+/data\.pkl", entry.filename)]
    if len(pickles) != 1:
        raise _not_a_checkpoint(f"a zip archive with {len(pickles)} entries */data.pkl instead of one")
    plain = all(e.compress_type == zipfile.ZIP_STORED and not e.flag_bits & _ZIP_SPECIAL for e in entries)
    if not plain or sum(entry.file_size for entry in entries) > size:
        raise damaged("its zip entries are compressed, encrypted or claim more bytes than the file has")
    if pickles[0].file_size > MAX_PICKLE_BYTES:
        raise damaged(f"its pickle has {pickles[0].file_size} bytes, more than {MAX_PICKLE_BYTES}")
    folder = pickles[0].filename.removesuffix("data.pkl")
    if f"{folder}byteorder" in archive.namelist():
        _check_byte_order(archive.read(f"{folder}byteorder").decode("ascii"))
    root = read_inert(BytesIO(archive.read(pickles[0]))).root
    return root, lambda key: bytearray(archive.read(f"{folder}data/{key}"))


def _read_legacy(file: BinaryIO, size: int) -> tuple[Any, ReadStorage]:
    """Read the form before torch 1.6: five pickles, then the length and the raw bytes of each storage."""
    pickles = BytesIO(file.read(MAX_PICKLE_BYTES))
    if any(read_inert(pickles).root != number for number in _LEGACY_START):
        raise _not_a_checkpoint("another pickle")
    system, network, keys = (read_inert(pickles) for _ in range(3))
    match system.root, keys.root:
        case {"little_endian": little}, list(order) if all(isinstance(key, str) for key in order):
            _check_byte_order("little" if little else "big")
        case _:
            raise damaged("it does not list its storages")
    starts: dict[str, int] = {}
    position = pickles.tell()
    for key in order:
        starts[key] = position
        position += _LEGACY_LENGTH_BYTES + _num_bytes(network.storages[key])
    if position > size:
        raise damaged(f"it must have {position} bytes and has {size}")

    def read_storage(key: str) -> bytearray:
        storage = network.storages[key]
        file.seek(starts[key])
        if file.read(_LEGACY_LENGTH_BYTES) != storage.num_elements.to_bytes(
            _LEGACY_LENGTH_BYTES, sys.byteorder
        ):
            raise damaged(f"storage {key} does not begin with its length")
        return bytearray(file.read(_num_bytes(storage)))

    return network.root, read_storage


def _checkpoint(root: Any, read_storage: ReadStorage) -> PickledCheckpoint:
    if not isinstance(root, dict):
        raise _not_a_checkpoint(f"a pickled {type(root).__name__}")
    nets = [root.get(key) for key in _NETWORK_KEYS]
    net = next(
        (
            each
            for each in (*nets, root)
            if isinstance(each, dict) and any(isinstance(value, StoredTensor) for value in each.values())
        ),
        None,
    )
    if net is None:
        raise CheckpointError(
            f"a checkpoint must hold the network's tensors under {', '.join(_NETWORK_KEYS)} or be a bare state "
            f"dict, got the keys {_some_of(root)}; give a file that training wrote"
        )
    # `DistributedDataParallel` and `torch.compile` put a prefix before every key, in either order.
    for wrapper in _WRAPPERS * 2:
        if all(isinstance(key, str) and key.startswith(wrapper) for key in net):
            net = {key.removeprefix(wrapper): value for key, value in net.items()}
    net_type, epoch = root.get("net_type"), root.get("epoch")
    return PickledCheckpoint(
        state_dict=_tensors(net, read_storage),
        net_type=net_type if isinstance(net_type, str) else None,
        epoch=epoch if isinstance(epoch, int) else None,
    )


def _tensors(net: Mapping[Any, Any], read_storage: ReadStorage) -> dict[str, Tensor]:
    @cache
    def elements(storage: Storage) -> Tensor:
        buffer = read_storage(storage.key)
        if len(buffer) != _num_bytes(storage):
            raise damaged(f"storage {storage.key} must have {_num_bytes(storage)} bytes, has {len(buffer)}")
        return torch.frombuffer(buffer, dtype=getattr(torch, storage.dtype))

    tensors = {}
    for key, value in net.items():
        _check_tensor(key, value)
        tensors[key] = elements(value.storage).as_strided(value.shape, value.stride, value.offset)
    return tensors


def _check_tensor(key: Any, value: Any) -> None:
    if not isinstance(key, str) or not isinstance(value, StoredTensor):
        kind = value.class_name if isinstance(value, Inert) else type(value).__name__
        raise CheckpointError(
            f"a network's state dict must hold only tensors under text keys, got {kind} at {_some_of([key])}"
            "; give a file that the authors' training wrote"
        )
    shape, stride, available = value.shape, value.stride, value.storage.num_elements
    fits = len(shape) == len(stride) <= _MAX_DIMENSIONS and 0 < math.prod(shape) <= available
    last = value.offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=False))
    if not fits or last >= available or max(stride, default=0) > available:
        raise CheckpointError(
            f"a tensor must lie inside its {available} stored numbers, got {_some_of([key])}, which is empty "
            "or reaches beyond; copy or download the file again"
        )


def _num_bytes(storage: Storage) -> int:
    return storage.num_elements * getattr(torch, storage.dtype).itemsize


def _check_byte_order(order: str) -> None:
    if order != sys.byteorder:
        raise CheckpointError(
            f"a checkpoint's numbers must be in this machine's byte order {sys.byteorder}, got {order[:20]!r}"
            "; save it again on a machine like this one"
        )


def _not_a_checkpoint(got: str) -> CheckpointError:
    return CheckpointError(
        f"a checkpoint must be a file written by torch.save, got {got}; give the authors' .pth.tar file"
    )


def _some_of(keys: Iterable[Any]) -> str:
    return ", ".join(ascii(key)[:80] for key in islice(keys, 5))
