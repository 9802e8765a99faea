"""Run cases in a worker process with limits of time and memory, and say what became of each."""

import faulthandler
import json
import os
import random
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from scripts.fuzz.mutation import mutate

HANG_SECONDS = 10.0
MEMORY_BYTES = 2 * 2**30
ADDRESS_BYTES = 8 * 2**30
"""Of private memory that may be reserved, touched or not; it only protects the machine."""

CASES_A_WORKER = 200
"""A worker is replaced after so many cases, so that what one left behind cannot gather."""

ALLOWED = ("fine", "refused")

Files = Mapping[str, bytes]
"""The files of one input, by their place below its folder."""

_FORBIDDEN_EVENTS = frozenset(
    ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect", "pickle.find_class")
)
"""Events of Python's audit hooks that no reader of a file has a reason to cause."""


@dataclass(frozen=True)
class Kind:
    """One class of inputs.

    Attributes:
        seeds: Gives the honest and the hostile inputs that are mutated, by name.
        read: Reads the input in a folder as the package does; gets the folder, the name of the seed, and dice.
        prepare: Does in the parent what every worker needs, such as imports.
    """

    seeds: Callable[[], dict[str, Files]]
    read: Callable[[Path, str, random.Random], None]
    prepare: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Outcome:
    """What became of a case: `fine`, `refused` (an error of ours) or a fault, and the detail of a fault."""

    number: int
    what: str
    detail: str = ""


def _dice(kind_name: str, seed: int, number: int) -> random.Random:
    return random.Random(f"{kind_name} {seed} {number}")


def _seed_name(kind_name: str, seed: int, number: int, seeds: Mapping[str, Files]) -> str:
    return _dice(kind_name, seed, number).choice(sorted(seeds))


def write_case(
    folder: Path, kind_name: str, seed: int, number: int, seeds: Mapping[str, Files]
) -> tuple[str, random.Random]:
    """Write the input of one case below `folder`; return the name of its seed and the dice as they lie then."""
    dice = _dice(kind_name, seed, number)
    name = dice.choice(sorted(seeds))
    files = dict(seeds[name])
    others = [content for each in seeds.values() for content in each.values()]
    target = dice.choice(sorted(files))
    files[target] = mutate(files[target], target, dice, others)
    for place, content in files.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return name, dice


def run_cases(
    kind_name: str, kind: Kind, seed: int, numbers: Iterable[int], *, hang_seconds: float = HANG_SECONDS
) -> Iterator[Outcome]:
    """Yield the outcome of each case; a case that hangs does so twice before it counts."""
    kind.prepare()
    seeds = kind.seeds()
    waiting = list(numbers)
    repeated: set[int] = set()
    while waiting:
        chunk, waiting = waiting[:CASES_A_WORKER], waiting[CASES_A_WORKER:]
        done = 0
        for outcome in _run_worker(kind_name, kind, seed, chunk, seeds, hang_seconds):
            if outcome.what == "hang" and outcome.number not in repeated:
                repeated.add(outcome.number)
            else:
                done += 1
                named = f"{_seed_name(kind_name, seed, outcome.number, seeds)}: {outcome.detail}"
                yield outcome if outcome.what in ALLOWED else replace(outcome, detail=named)
        waiting = chunk[done:] + waiting


def _run_worker(
    kind_name: str, kind: Kind, seed: int, numbers: list[int], seeds: Mapping[str, Files], hang_seconds: float
) -> Iterator[Outcome]:
    """Yield outcomes until the numbers are done, or one case ended the worker."""
    root = Path(tempfile.mkdtemp(prefix="fuzz_"))
    reading, writing = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            _be_worker(kind_name, kind, seed, numbers, seeds, root, os.fdopen(writing, "w"))
        finally:
            os._exit(3)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb", buffering=0) as pipe:
            yield from _watch(child, pipe, numbers, hang_seconds, root)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        shutil.rmtree(root, ignore_errors=True)


def _watch(
    child: int, pipe: IO[bytes], numbers: list[int], hang_seconds: float, root: Path
) -> Iterator[Outcome]:
    pending = b""
    for number in numbers:
        began, waited = time.monotonic(), _waited_seconds(child)
        while b"\n" not in pending:
            if select.select([pipe], [], [], 0.2)[0]:
                part = pipe.read(1 << 20)
                if not part:
                    yield Outcome(number, "died", f"status {_status(child)}")
                    return
                pending += part
            elif _resident_bytes(child) > MEMORY_BYTES:
                yield Outcome(number, "memory", "killed above the limit")
                return
            # Time in which the process could have run: where other work has the cores, it waits for them.
            elif time.monotonic() - began - (_waited_seconds(child) - waited) > hang_seconds:
                yield Outcome(number, "hang", _stack(child, root))
                return
        line, _, pending = pending.partition(b"\n")
        what, detail = json.loads(line)
        yield Outcome(number, what, detail)


def _be_worker(
    kind_name: str,
    kind: Kind,
    seed: int,
    numbers: list[int],
    seeds: Mapping[str, Files],
    root: Path,
    pipe: IO[str],
) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (ADDRESS_BYTES, ADDRESS_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    faulthandler.disable()
    faulthandler.register(signal.SIGUSR1, (root / "stack").open("w"), all_threads=True)
    events: list[str] = []
    sys.addaudithook(lambda event, _: events.append(event) if event in _FORBIDDEN_EVENTS else None)
    os.environ["XDG_CACHE_HOME"] = str(root / "cache")
    for number in numbers:
        folder = root / str(number)
        for name in ("inputs", "out"):
            (folder / name).mkdir(parents=True)
        os.chdir(folder)
        name, dice = write_case(folder / "inputs", kind_name, seed, number, seeds)
        before = _listing(folder)
        events.clear()
        Path("/proc/self/clear_refs").write_text("5")  # the peak of memory begins anew
        what, detail = _outcome_of(kind, folder / "inputs", name, dice)
        if _peak_bytes() > MEMORY_BYTES:
            what, detail = "memory", f"peak {_peak_bytes() >> 20} MiB; {what} {detail}"
        if partial := [path for path in _listing(folder) - before if ".partial" in path]:
            what, detail = "half-written", str(partial)
        outside = {
            path for path in _listing(folder) - before if not path.startswith(("out/", "inputs/cache"))
        }
        outside |= {str(path) for path in (*root.glob("*canary*"), *Path("/var").glob("starktrack-canary*"))}
        if events or outside:
            what, detail = "executed", f"{events} {sorted(outside)}"
        os.chdir(root)
        shutil.rmtree(folder, ignore_errors=True)
        pipe.write(json.dumps([what, detail]) + "\n")
        pipe.flush()
    os._exit(0)


def _outcome_of(kind: Kind, inputs: Path, name: str, dice: random.Random) -> tuple[str, str]:
    from starktrack.errors import StarktrackError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind.read(inputs, name, dice)
    except StarktrackError:
        return "refused", ""
    except MemoryError:
        return "memory", traceback.format_exc()[-2000:]
    except BaseException:  # noqa: BLE001 - whatever it is, it is a fault to be counted
        return "traceback", traceback.format_exc()[-2000:]
    return "fine", ""


def _listing(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def _peak_bytes() -> int:
    return _status_field("self", "VmHWM")


def _resident_bytes(process: int) -> int:
    return _status_field(str(process), "VmRSS")


def _status_field(process: str, field: str) -> int:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(field):
            return 1024 * int(line.split()[1])
    return 0


def _waited_seconds(process: int) -> float:
    """Return how long a process was ready to run and had no core."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[1]) / 1e9


def _stack(child: int, root: Path) -> str:
    """Return where a process that hangs is."""
    os.kill(child, signal.SIGUSR1)
    time.sleep(0.5)
    return (root / "stack").read_text()


def _status(child: int) -> Any:
    """Return how a child ended, without reaping it."""
    info = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    return info.si_status if info else None
