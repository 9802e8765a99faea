"""Read a pickle as data: containers, numbers, texts and records of its globals and calls; nothing is called.

A pickle is a program for a stack machine. This machine has no instruction that imports, calls or sets an
attribute: a global becomes a record of its name, a call a record of its result. It refuses names and instructions
outside its list. `torch.load(weights_only=True)` is not used because it had memory corruption before torch 2.10
(CVE-2026-24747), honours process-wide allow-lists and still allocates what a file asks for.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from starktrack.errors import CheckpointError, UnsafeCheckpointError

DTYPE_OF_STORAGE = {
    "BFloat16Storage": "bfloat16",
    "BoolStorage": "bool",
    "ByteStorage": "uint8",
    "CharStorage": "int8",
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "IntStorage": "int32",
    "LongStorage": "int64",
    "ShortStorage": "int16",
}


@dataclass(frozen=True)
class Global:
    """A global that the pickle names; it is never imported."""

    module: str
    name: str


@dataclass(frozen=True)
class Inert:
    """An object of the authors' code or of NumPy in the file; only its class name is kept."""

    class_name: str


@dataclass(frozen=True)
class Storage:
    """A record of raw numbers elsewhere in the file."""

    dtype: str
    key: str
    num_elements: int


@dataclass(frozen=True)
class StoredTensor:
    """A record of a tensor: its layout on its storage, in elements; it may reach beyond the storage's end."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(frozen=True)
class InertPickle:
    """What a pickle describes, and the storages its tensors refer to, by their key in the file."""

    root: Any
    storages: dict[str, Storage]


@dataclass
class _Machine:
    storages: dict[str, Storage] = field(default_factory=dict)
    stack: list[Any] = field(default_factory=list)
    marks: list[list[Any]] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def mark(self) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def push(self, item: Any) -> None:
        self.stack.append(item)

    def pop_to_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def pop_tuple(self, length: int) -> None:
        self.push(tuple([self.stack.pop() for _ in range(length)][::-1]))

    def extend_list(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise ValueError("items appended to something that is not a list")
        self.stack[-1].extend(items)

    def extend_dict(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], dict) or len(items) % 2:
            raise ValueError("items set on something that is not a dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | int):  # a tuple nested a million deep would overflow in hash()
                raise ValueError(f"a dictionary key of type {type(key).__name__}")
            self.stack[-1][key] = value

    def note_storage(self) -> None:
        storage = _storage(self.stack.pop())
        self.storages[storage.key] = storage
        self.push(storage)

    def note_call(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, Global) or not isinstance(arguments, tuple):
            raise ValueError("a call of something that is not a name")
        self.push(_CALLS[function](*arguments))


def read_inert(stream: BytesIO) -> InertPickle:
    """Return what the next pickle in the stream describes, with records in place of tensors and objects.

    Raises:
        UnsafeCheckpointError: It names a global, or uses an instruction, that no checkpoint needs.
        CheckpointError: It is no complete pickle.
    """
    machine = _Machine()
    try:
        for instruction, argument, _ in pickletools.genops(stream):
            if instruction.name not in _INSTRUCTIONS:
                raise _unsafe(f"the pickle instruction {instruction.name} with {_shorten(argument)}")
            _INSTRUCTIONS[instruction.name](machine, argument)
        return InertPickle(machine.stack.pop(), machine.storages)
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise damaged(str(error)) from error


def damaged(reason: str) -> CheckpointError:
    """Return the error for a file that is not what `torch.save` wrote."""
    return CheckpointError(
        f"a checkpoint must be complete and as torch.save wrote it, got a truncated or damaged one "
        f"({_shorten(reason)}); copy or download it again"
    )


def _unsafe(what: str) -> UnsafeCheckpointError:
    return UnsafeCheckpointError(
        f"a checkpoint may refer only to tensors, plain containers and the authors' settings and statistics, "
        f"got {what}; nothing was run, take the file from a source you trust"
    )


def _shorten(value: object) -> str:
    return ascii(str(value)[:120])


def _global(module: Any, name: Any) -> Global:
    if not isinstance(module, str) or not isinstance(name, str):
        raise ValueError("a global whose name is not a text")
    found = Global(module, name)
    if found not in _CALLS:
        raise _unsafe(f"the global {_shorten(f'{found.module}.{found.name}')}")
    return found


def _storage(identity: Any) -> Storage:
    match identity:
        case ("storage", Global("torch", kind), str(key), str(), int(count), *views) if (
            kind in DTYPE_OF_STORAGE and count >= 0 and views in ([], [None])
        ):
            return Storage(DTYPE_OF_STORAGE[kind], key, count)
    raise ValueError("a persistent object that is not a storage")


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any, *_: Any) -> StoredTensor:
    numbers = (offset, *shape, *stride)
    if not isinstance(storage, Storage) or not all(isinstance(n, int) and n >= 0 for n in numbers):
        raise ValueError("a tensor whose storage, offset, shape or stride is not one")
    return StoredTensor(storage, offset, tuple(shape), tuple(stride))


def _empty_dict() -> dict[str | int, Any]:
    return {}


def _inert(class_name: str) -> Callable[..., Inert]:
    return lambda *_: Inert(class_name)


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _refuse_call(*_: Any) -> Any:
    raise ValueError("a storage made by a call")


_CALLS: dict[Global, Callable[..., Any]] = {
    Global("collections", "OrderedDict"): _empty_dict,
    Global("torch._utils", "_rebuild_tensor_v2"): _tensor,
    Global("torch._utils", "_rebuild_parameter"): _parameter,
    **{Global("torch", name): _inert(f"torch.{name}") for name in ("device", "Size")},
    **{Global("torch", name): _refuse_call for name in DTYPE_OF_STORAGE},
    # Numbers of NumPy beside the network, such as the best score so far.
    Global("numpy", "dtype"): _inert("numpy.dtype"),
    Global("_codecs", "encode"): _inert("bytes"),
    **{Global(f"numpy.{core}.multiarray", "scalar"): _inert("numpy.scalar") for core in ("core", "_core")},
    **{
        Global(f"lib.train.admin.{module}", name): _inert(name)
        for module, name in (
            ("settings", "Settings"),
            ("local", "EnvironmentSettings"),
            ("stats", "AverageMeter"),
            ("stats", "StatValue"),
        )
    },
}
"""The function of this file that replaces each allowed name when the pickle calls or instantiates it."""

_Instruction = Callable[[_Machine, Any], object]

_INSTRUCTIONS: dict[str, _Instruction] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda m, _: None),
    **dict.fromkeys(
        ("BINFLOAT", "BININT", "BININT1", "BININT2", "BINUNICODE", "LONG1", "SHORT_BINUNICODE"),
        lambda m, argument: m.push(argument),
    ),
    "NONE": lambda m, _: m.push(None),
    "NEWTRUE": lambda m, _: m.push(True),
    "NEWFALSE": lambda m, _: m.push(False),
    "EMPTY_DICT": lambda m, _: m.push({}),
    "EMPTY_LIST": lambda m, _: m.push([]),
    "EMPTY_TUPLE": lambda m, _: m.pop_tuple(0),
    "TUPLE1": lambda m, _: m.pop_tuple(1),
    "TUPLE2": lambda m, _: m.pop_tuple(2),
    "TUPLE3": lambda m, _: m.pop_tuple(3),
    "TUPLE": lambda m, _: m.push(tuple(m.pop_to_mark())),
    "MARK": lambda m, _: m.mark(),
    "APPEND": lambda m, _: m.extend_list([m.stack.pop()]),
    "APPENDS": lambda m, _: m.extend_list(m.pop_to_mark()),
    "SETITEM": lambda m, _: m.extend_dict([m.stack.pop(), m.stack.pop()][::-1]),
    "SETITEMS": lambda m, _: m.extend_dict(m.pop_to_mark()),
    "MEMOIZE": lambda m, _: m.memo.__setitem__(len(m.memo), m.stack[-1]),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), lambda m, index: m.memo.__setitem__(index, m.stack[-1])),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda m, index: m.push(m.memo[index])),
    "GLOBAL": lambda m, names: m.push(_global(*names.split(" ", 1))),
    "STACK_GLOBAL": lambda m, _: m.push(_global(*[m.stack.pop(), m.stack.pop()][::-1])),
    "BINPERSID": lambda m, _: m.note_storage(),
    "REDUCE": lambda m, _: m.note_call(),
    "NEWOBJ": lambda m, _: m.note_call(),
    "BUILD": lambda m, _: m.stack.pop(),  # the state of an inert object is dropped
}
