"""Threads that read ahead and write behind give what the loop without them gives."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from starktrack.pipeline import DEPTH, Prefetcher, ReadAhead, WriteBehind


def broken_off(count):
    yield from range(count)
    raise OSError("broke off")


def test_all_items_come_in_order():
    with ReadAhead(iter(range(100))) as items:
        assert list(items) == list(range(100))
        assert list(items) == []


def test_an_error_comes_after_the_items_before_it():
    got = []
    with pytest.raises(OSError, match="broke off"), ReadAhead(broken_off(7)) as items:
        for item in items:
            got.append(item)
    assert got == list(range(7))


def test_reading_runs_ahead_and_no_further_than_its_depth():
    read = []
    gate = threading.Event()

    def source():
        for number in range(50):
            read.append(number)
            if len(read) == DEPTH:
                gate.set()
            yield number

    with ReadAhead(source()) as items:
        assert gate.wait(10)
        assert next(items) == 0
        for _ in range(100):
            if len(read) == DEPTH + 1:
                break
            time.sleep(0.01)
        assert len(read) == DEPTH + 1


def test_leaving_early_ends_the_thread_and_the_source_is_still_the_callers():
    class Source:
        def __init__(self):
            self.threads = set()

        def __iter__(self):
            return self

        def __next__(self):
            self.threads.add(threading.current_thread().name)
            return 0

    source = Source()
    with ReadAhead(source) as items:
        next(items)
    names = {thread.name for thread in threading.enumerate()}
    assert len(source.threads) == 1 and not names & source.threads


def test_leaving_cancels_an_iteration_that_waits():
    gate = threading.Event()

    def source():
        yield 0
        assert gate.wait(10), "nobody cancelled"

    started = time.monotonic()
    with ReadAhead(source(), cancel=gate.set) as items:
        assert next(items) == 0
    assert gate.is_set() and time.monotonic() - started < 5


def test_writes_are_in_order_and_finished_when_the_block_ends():
    written = []

    def write(item):
        time.sleep(0.001)
        written.append((item, threading.current_thread().name))

    with WriteBehind(write) as behind:
        for number in range(30):
            behind(number)
    assert [item for item, _ in written] == list(range(30))
    assert len({name for _, name in written}) == 1
    assert written[0][1] != threading.current_thread().name


def test_the_caller_waits_where_writing_is_slower():
    started, gate, given = threading.Event(), threading.Event(), []

    def write(item):
        started.set()
        assert gate.wait(10)

    def give():
        with WriteBehind(write) as behind:
            for number in range(DEPTH + 5):
                behind(number)
                given.append(number)

    thread = threading.Thread(target=give)
    thread.start()
    assert started.wait(10)
    thread.join(0.2)
    assert thread.is_alive() and len(given) <= DEPTH
    gate.set()
    thread.join(10)
    assert len(given) == DEPTH + 5


def test_after_an_error_nothing_more_is_written_and_it_is_raised():
    written = []

    def write(item):
        if item == 3:
            raise OSError("disk full")
        written.append(item)

    with pytest.raises(OSError, match="disk full"), WriteBehind(write) as behind:
        for number in range(1000):
            behind(number)
    assert written == [0, 1, 2]


def test_an_error_of_the_last_item_is_raised_on_leaving():
    def write(item):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), WriteBehind(write) as behind:
        behind(0)


def test_where_the_block_fails_what_was_given_is_still_written():
    written = []
    with pytest.raises(KeyboardInterrupt), WriteBehind(written.append) as behind:
        for number in range(DEPTH):
            behind(number)
        raise KeyboardInterrupt
    assert written == list(range(DEPTH))


def test_an_error_of_writing_comes_out_also_where_the_block_fails():
    def write(item):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full") as caught, WriteBehind(write) as behind:
        behind(0)
        raise KeyboardInterrupt
    assert isinstance(caught.value.__context__, KeyboardInterrupt)


def reads(frames, order):
    return (partial(frames.read, index) for index in order)


class Counted:
    def __init__(self):
        self.read_indices = []

    def __len__(self):
        return 10

    def read(self, index):
        self.read_indices.append(index)
        return np.full((2, 2, 3), index, np.uint8)


def test_frames_come_in_the_order_asked_for_and_only_a_few_ahead():
    frames = Counted()
    with ThreadPoolExecutor(2) as pool:
        ahead = Prefetcher(reads(frames, range(9, -1, -1)), pool, depth=3)
        first = next(ahead)
        assert first[0, 0, 0] == 9
        assert len(frames.read_indices) <= 4
        assert [image[0, 0, 0] for image in ahead] == list(range(8, -1, -1))
        with pytest.raises(StopIteration):
            next(ahead)
    assert ahead.work_seconds > 0


def test_what_was_given_up_is_not_given():
    with ThreadPoolExecutor(1) as pool:
        ahead = Prefetcher(reads(Counted(), range(10)), pool, depth=2)
        ahead.close()
        assert list(ahead) == []
