"""Items are handed out to workers that may die: each ends exactly once, as done or as failed.

A worker holds a few items, so that it opens the next video while it tracks one. An error ends the item in which it was
raised. When a worker dies, the items that it held are tried again one at a time, so that the one that kills workers is
found, and only this one uses up its tries.
"""

from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from traceback import format_exception
from typing import Any, Protocol, TypeAlias, runtime_checkable

from starktrack.errors import StarktrackError
from starktrack.tracking.batch_runner import Failed

POLL_SECONDS = 0.5
"""How long to wait for an event."""

MOST_FAILED_STARTS = 3
"""How often in a row a worker may die before it is ready."""


@runtime_checkable
class Item(Protocol):
    """What is worked on."""

    @property
    def id(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class End:
    """Tells a worker that no items follow those it holds; after them it waits for more."""


@dataclass(frozen=True)
class Ready:
    """A worker takes items from now on."""


@dataclass(frozen=True)
class Done:
    """An item is finished."""

    id: str
    result: Any


@dataclass(frozen=True)
class NotDone:
    """An item failed.

    Attributes:
        id: Which.
        reason: Why, in one line.
        trace: Where, for whoever looks into it.
        is_final: Whether another try would fail as well.
    """

    id: str
    reason: str
    trace: str
    is_final: bool = False

    @classmethod
    def of(cls, failed: Failed, *, is_final: bool = False) -> "NotDone":
        """Return the event for a clip that failed; an error of this package is its own reason, another has its type."""
        text = " ".join(str(failed.error).split())
        if not isinstance(failed.error, StarktrackError):
            text = f"frame {failed.frame}: {type(failed.error).__name__}: {text}"
        elif failed.frame:
            text = f"frame {failed.frame}: {text}"
        return cls(failed.name, text, "".join(format_exception(failed.error)), is_final)


@dataclass(frozen=True)
class Moved:
    """A worker tracked so many more frames of an item that has not ended."""

    id: str
    frames: int


@dataclass(frozen=True)
class Lost:
    """A worker died; what it held is not done.

    Attributes:
        reason: Why.
        error: What it raised, where that is an error of this package: the next start would raise it too.
        is_external: Whether something else ended it, such as the end of its machine. Before the worker is ready,
            this is no failed start.
    """

    reason: str
    error: StarktrackError | None = None
    is_external: bool = False


Message: TypeAlias = Item | End
Event: TypeAlias = Ready | Done | NotDone | Moved | Lost


@runtime_checkable
class Workers(Protocol):
    """Processes that work, here or elsewhere. Each has a number, which a new one in its place takes over."""

    @property
    def count(self) -> int:
        """Return how many there are to be."""
        ...

    def fill(self, most: int, without: Collection[int] = ()) -> None:
        """Start the workers that are missing, for so many items at most, and none of these numbers."""
        ...

    def send(self, worker: int, messages: Sequence[Message]) -> None:
        """Send to a worker that is ready."""
        ...

    def receive(self, seconds: float) -> list[tuple[int, Event]]:
        """Return what happened, waiting so long at most for something."""
        ...

    def close(self) -> None:
        """End all workers."""
        ...


@dataclass(frozen=True)
class Ended:
    """An item ended: its result, or why there is none, and which try this was."""

    id: str
    worker: int
    outcome: Done | NotDone
    tries: int


@dataclass
class _Attempt:
    item: Item
    tries: int = 0
    alone: bool = False


@dataclass
class _Hand:
    """What a worker holds; after `End` it gets nothing until it is done with it."""

    attempts: dict[str, _Attempt] = field(default_factory=dict)
    is_ended: bool = False


def dispatch(
    items: Iterable[Item], workers: Workers, *, in_hand: int, retries: int
) -> Iterator[Ended | tuple[int, Moved] | None]:
    """Yield how every item ended, as it ends, what moves, and None when nothing happened for a while.

    Args:
        items: Each with an id of its own.
        workers: Who works; closing them is the caller's.
        in_hand: Items that a worker holds at a time.
        retries: How often an item is tried again.

    Raises:
        StarktrackError: No worker can be started; the error of the worker, where it is one of this package.
    """
    waiting = deque(_Attempt(item) for item in items)
    hands: dict[int, _Hand] = {}
    failed_starts: Counter[int] = Counter()
    failed_in_a_row = 0  # of all workers, while none is ready
    while waiting or any(hand.attempts for hand in hands.values()):
        given_up = {worker for worker, times in failed_starts.items() if times >= MOST_FAILED_STARTS}
        # No number is left: all get another chance, and `failed_in_a_row` ends a run that starts no worker.
        if given_up.issuperset(range(workers.count)):
            failed_starts.clear()
            given_up = set()
        workers.fill(len(waiting) + sum(len(hand.attempts) for hand in hands.values()), given_up)
        for worker, hand in hands.items():
            # Towards the end nobody holds a second item while another has none.
            held = sum(len(each.attempts) for each in hands.values())
            share = max(1, (held + len(waiting)) // max(1, workers.count - len(given_up)))
            if messages := _next_messages(hand, waiting, in_hand, share):
                workers.send(worker, messages)
        events = workers.receive(POLL_SECONDS)
        if not events:
            yield None
        for worker, event in events:
            if isinstance(event, Ready):
                hands[worker], failed_in_a_row = _Hand(), 0
                del failed_starts[worker]
            elif isinstance(event, Lost):
                hand = hands.pop(worker, None)
                if hand is not None:
                    yield from _take_back(worker, hand, event, waiting, retries)
                elif not event.is_external:
                    failed_starts[worker] += 1
                    failed_in_a_row = 0 if hands else failed_in_a_row + 1
                    if event.error is not None and not hands:
                        raise event.error
                    if failed_in_a_row >= MOST_FAILED_STARTS:
                        raise StarktrackError(
                            f"workers must start, {failed_in_a_row} in a row died at once: {event.reason}"
                        )
            # An event that was on its way when its worker was lost.
            elif worker not in hands or event.id not in hands[worker].attempts:
                continue
            elif isinstance(event, Moved):
                yield worker, event
            else:
                attempt = hands[worker].attempts.pop(event.id)
                attempt.tries += 1
                if isinstance(event, Done) or event.is_final or attempt.tries > retries:
                    yield Ended(event.id, worker, event, attempt.tries)
                else:
                    waiting.append(attempt)


def _next_messages(hand: _Hand, waiting: deque[_Attempt], in_hand: int, share: int) -> list[Message]:
    """Return what a worker gets now; it holds that from then on."""
    messages: list[Message] = []
    if hand.is_ended and not hand.attempts:
        hand.is_ended = False
    while waiting and not hand.is_ended and len(hand.attempts) < min(in_hand, share):
        if waiting[0].alone and hand.attempts:
            break
        attempt = waiting.popleft()
        hand.attempts[attempt.item.id] = attempt
        messages.append(attempt.item)
        if attempt.alone:
            messages.append(End())
            hand.is_ended = True
    # A worker that knows that nothing follows does not wait for an item to open ahead.
    if hand.attempts and not hand.is_ended and len(hand.attempts) < in_hand:
        messages.append(End())
        hand.is_ended = True
    return messages


def _take_back(
    worker: int, hand: _Hand, lost: Lost, waiting: deque[_Attempt], retries: int
) -> Iterator[Ended]:
    attempts = list(hand.attempts.values())
    for attempt in attempts:
        attempt.alone = True
        # Of several items nobody knows which one killed the worker, so it counts as no try of theirs.
        if len(attempts) == 1:
            attempt.tries += 1
        if attempt.tries > retries:
            yield Ended(
                attempt.item.id, worker, NotDone(attempt.item.id, lost.reason, lost.reason), attempt.tries
            )
        else:
            waiting.append(attempt)
