import numpy as np
import pytest

from starktrack.data.frames import Frame
from starktrack.engines.torch_engine import TorchEngine
from starktrack.errors import BoxError, VideoBrokenError
from starktrack.kinds import load_network
from starktrack.tracking.tracker import Tracker

BOXES = [(40, 30, 20, 24), (70.5, 20.25, 30, 18), (10, 60, 16, 16)]


@pytest.fixture(scope="module")
def engine(small_checkpoint):
    import torch

    config, network = load_network(small_checkpoint)
    return TorchEngine(network, config, device=torch.device("cpu"))


def frames_of(clip):
    return [Frame(each.image, index, index / 25) for index, each in enumerate(clip)]


def boxes_of(run, target):
    return np.array(
        [found[target].box_xywh for found in (tracked.outputs for tracked in run) if target in found]
    )


def test_the_first_output_is_the_box_that_was_given(engine, small_clip):
    tracked = next(Tracker(engine).track(frames_of(small_clip), BOXES))
    outputs = tracked.outputs
    assert tracked.index == 0 and list(outputs) == [0, 1, 2]
    for target, box in enumerate(BOXES):
        assert outputs[target].box_xywh.tolist() == list(box)
        assert (outputs[target].score, outputs[target].template_updated) == (None, False)


def test_every_frame_comes_back_with_every_target(engine, small_clip):
    run = list(Tracker(engine).track(frames_of(small_clip), BOXES))
    assert [tracked.index for tracked in run] == list(range(12))
    assert all(list(tracked.outputs) == [0, 1, 2] for tracked in run)
    assert all(0 <= tracked.outputs[0].score <= 1 for tracked in run[1:])
    updated = [tracked.index for tracked in run if tracked.outputs[1].template_updated]
    assert updated == [3, 6, 9]


def test_results_do_not_depend_on_how_targets_are_grouped(engine, small_clip):
    frames = frames_of(small_clip)
    together = list(Tracker(engine).track(frames, BOXES))
    moved = 0.0
    for target, box in enumerate(BOXES):
        alone = boxes_of(Tracker(engine).track(frames, [box]), 0)
        np.testing.assert_allclose(boxes_of(together, target), alone, atol=1e-3)
        moved += np.abs(np.diff(alone, axis=0)).sum()
    assert moved > 10, "boxes that never move would prove nothing"


def test_targets_added_and_removed_on_the_way_are_tracked_as_if_alone(engine, small_clip):
    images = [each.image for each in small_clip]
    tracker = Tracker(engine)
    tracker.start(images[0], boxes_xywh=BOXES[:2])
    found = {0: [], 1: [], 2: []}
    for index, image in enumerate(images[1:], start=1):
        for target, output in tracker.update_all(image).items():
            found[target].append(output.box_xywh)
        if index == 4:
            assert tracker.add(image, BOXES[2]) == 2
        if index == 6:
            tracker.remove(0)
    for target, first, last in ((0, 0, 6), (1, 0, 11), (2, 4, 11)):
        alone = Tracker(engine)
        alone.start(images[first], box_xywh=BOXES[target])
        expected = [alone.update(image).box_xywh for image in images[first + 1 : last + 1]]
        np.testing.assert_allclose(found[target], expected, atol=1e-3)


def test_a_video_that_breaks_off_has_given_its_good_frames(engine, small_clip):
    def broken():
        yield from frames_of(small_clip)[:5]
        raise VideoBrokenError("clip broke off after 5 frames: cut", 5)

    seen = []
    with pytest.raises(VideoBrokenError, match="after 5 frames"):
        for tracked in Tracker(engine).track(broken(), BOXES[:1]):
            seen.append(tracked.index)
    assert seen == [0, 1, 2, 3, 4]


def test_frames_are_asked_for_one_at_a_time(engine, small_clip):
    asked = []

    def watched():
        for frame in frames_of(small_clip):
            asked.append(frame.index)
            yield frame

    run = Tracker(engine).track(watched(), BOXES[:1])
    next(run)
    assert asked == [0]
    next(run)
    assert asked == [0, 1]


def test_no_frames_give_no_outputs(engine):
    assert list(Tracker(engine).track([], BOXES)) == []


def test_a_box_outside_the_first_frame_is_refused_at_once(engine, small_clip):
    with pytest.raises(BoxError, match="must overlap the frame of 128 x 96 pixels"):
        next(Tracker(engine).track(frames_of(small_clip), [(500, 5, 5, 5)]))
