"""Items reach workers that may die; each ends once."""

from collections import deque
from dataclasses import dataclass

import pytest

from starktrack.errors import DeviceError, StarktrackError
from starktrack.workflows.dispatch import Done, End, Ended, Lost, Moved, NotDone, Ready, dispatch


@dataclass(frozen=True)
class Named:
    id: str


NO_WEIGHTS = Lost("no such weights")


class FakeWorkers:
    """Workers that do one item at each question; `deadly` ones kill them, `failing` ones raise."""

    def __init__(self, count, *, deadly=(), failing=(), dies=0, broken=(), lost=NO_WEIGHTS):
        self.count, self.deadly, self.failing, self.dies = count, deadly, failing, dies
        self.broken, self.lost, self.failed_starts = broken, lost, 0
        self.inboxes, self.new, self.sent, self.deaths = {}, [], [], 0

    def fill(self, most, without=()):
        for number in [each for each in range(self.count) if each not in without][:most]:
            if number not in self.inboxes:
                self.inboxes[number] = deque()
                self.new.append(number)

    def send(self, worker, messages):
        self.sent.append((worker, [getattr(each, "id", "end") for each in messages]))
        self.inboxes[worker].extend(messages)

    def receive(self, seconds):
        events = []
        for number in sorted(self.new, key=lambda each: each in self.broken):
            if self.dies or number in self.broken:
                self.dies = max(0, self.dies - 1)
                self.failed_starts += 1
                del self.inboxes[number]
                events.append((number, self.lost))
            else:
                events.append((number, Ready()))
        self.new = []
        for number, inbox in list(self.inboxes.items()):
            while inbox and inbox[0] == End():
                inbox.popleft()
            if not inbox:
                continue
            item = inbox.popleft()
            events.append((number, Moved(item.id, 3)))
            if item.id in self.deadly:
                self.deaths += 1
                del self.inboxes[number]
                events.append((number, Lost("killed by signal 11")))
            elif item.id in self.failing:
                events.append((number, NotDone(item.id, "broken", "trace", item.id == "final")))
            else:
                events.append((number, Done(item.id, item.id.upper())))
        return events

    def close(self):
        pass


def run(workers, names, *, in_hand=2, retries=2):
    ended = []
    for event in dispatch([Named(name) for name in names], workers, in_hand=in_hand, retries=retries):
        if isinstance(event, Ended):
            ended.append(event)
    assert sorted(each.id for each in ended) == sorted(names), "each ends exactly once"
    return {each.id: each for each in ended}


@pytest.mark.parametrize(("count", "in_hand"), [(1, 1), (1, 2), (3, 2), (4, 9)])
def test_every_item_is_done_once(count, in_hand):
    names = [f"v{index}" for index in range(11)]
    ended = run(FakeWorkers(count), names, in_hand=in_hand)
    assert {each.id: each.outcome.result for each in ended.values()} == {name: name.upper() for name in names}
    assert {each.tries for each in ended.values()} == {1}


def test_a_failure_is_tried_again_so_often_and_a_final_one_never():
    ended = run(FakeWorkers(2, failing=("bad", "final")), ["a", "bad", "b", "final", "c"], retries=2)
    assert (ended["bad"].tries, ended["bad"].outcome.reason) == (3, "broken")
    assert ended["final"].tries == 1
    assert all(isinstance(ended[name].outcome, Done) for name in "abc")


def test_only_the_item_that_kills_workers_uses_up_its_tries():
    workers = FakeWorkers(2, deadly=("bad",))
    ended = run(workers, ["a", "bad", "b", "c", "d", "e"], retries=1)
    assert ended["bad"].outcome == NotDone("bad", "killed by signal 11", "killed by signal 11")
    assert {ended[name].tries for name in "abcde"} == {1}
    # Once with others in hand, which blames nobody, then twice alone.
    assert workers.deaths == 1 + 2
    alone = [messages for _, messages in workers.sent if "bad" in messages]
    assert alone[1:] == [["bad", "end"]] * 2


def test_towards_the_end_nobody_waits_behind_another():
    workers = FakeWorkers(2)
    run(workers, ["long", "short"])
    assert workers.sent == [(0, ["long", "end"]), (1, ["short", "end"])]


def test_workers_that_cannot_start_end_the_run():
    with pytest.raises(StarktrackError, match="3 in a row died at once: no such weights"):
        run(FakeWorkers(1, dies=3), ["a"])
    assert len(run(FakeWorkers(1, dies=2), ["a"])) == 1


def test_a_worker_that_cannot_start_is_given_up_while_others_work():
    names = [f"v{index}" for index in range(20)]
    for lost in (NO_WEIGHTS, Lost("DeviceError: no GPU", DeviceError("no GPU"))):
        workers = FakeWorkers(3, broken=(0,), deadly=("v19",), lost=lost)
        ended = run(workers, names, in_hand=1)
        assert {each.worker for each in ended.values()} == {1, 2} and workers.failed_starts == 3
        # The last item killed the others one after the other; none of them is the one that was given up.
        assert (ended["v19"].tries, workers.deaths) == (3, 3)


def test_an_error_of_ours_at_the_start_is_raised_at_once():
    workers = FakeWorkers(1, dies=9, lost=Lost("DeviceError: no GPU", DeviceError("no GPU")))
    with pytest.raises(DeviceError, match=r"^no GPU$"):
        run(workers, ["a"])
    assert workers.failed_starts == 1


def test_workers_that_end_with_their_machine_are_no_failed_starts():
    workers = FakeWorkers(1, dies=9, lost=Lost("the node is gone", is_external=True))
    assert len(run(workers, ["a"])) == 1 and workers.failed_starts == 9


def test_what_an_unknown_worker_says_is_no_result():
    workers = FakeWorkers(1)
    receive = workers.receive
    late = [(0, Done("a", "of a worker that was given up")), (7, Done("b", "of nobody"))]
    workers.receive = lambda seconds: [*(late.pop() for _ in list(late)), *receive(seconds)]
    assert {each.outcome.result for each in run(workers, ["a", "b"]).values()} == {"A", "B"}
