import numpy as np
import pytest

from starktrack.data.synthetic.motion import Poses, draw_poses, excursion, passing, wandering, wave

SIZE = (320, 240)


def generators(count):
    return [np.random.default_rng([3, k]) for k in range(count)]


def test_a_pose_maps_points_by_hand():
    quarter_turn = np.array([[[0.0, -1.0], [1.0, 0.0]]])
    poses = Poses(2 * quarter_turn, np.array([[10.0, 20.0]]))
    assert poses.to_frame(np.array([[3.0, 1.0]])).tolist() == [[[8.0, 26.0]]]


def test_points_come_back_from_the_frame():
    for rng in generators(5):
        poses = draw_poses(wandering(20, SIZE, rng), (40, 30), rng)
        points = rng.uniform(0, 40, (7, 2))
        back = poses.to_cutout(poses.to_frame(points))
        np.testing.assert_allclose(back, np.broadcast_to(points, (20, 7, 2)), atol=1e-9)


def test_the_middle_of_a_cutout_follows_its_path():
    rng = np.random.default_rng(0)
    path = wandering(20, SIZE, rng)
    poses = draw_poses(path, (40, 30), rng)
    np.testing.assert_allclose(poses.to_frame(np.array([[20.0, 15.0]]))[:, 0], path, atol=1e-9)


def test_a_wandering_path_stays_inside_the_frame():
    paths = np.stack([wandering(60, SIZE, rng) for rng in generators(100)])
    assert (paths > 0).all() and (paths < SIZE).all()
    travelled = np.ptp(paths, axis=1).max(axis=1)
    assert travelled.min() < 15 and travelled.max() > 200


def test_an_excursion_leaves_and_comes_back():
    for rng in generators(50):
        gone = np.abs(excursion(200, SIZE, 30.0, rng)).max(axis=1)
        assert gone.max() == pytest.approx(SIZE[0] + 30, rel=0.01) or gone.max() == pytest.approx(
            270, rel=0.01
        )
        assert gone.min() < 1


def test_a_passing_path_crosses_the_other_near_its_middle():
    for rng in generators(50):
        path = wandering(200, SIZE, rng)
        distance = np.linalg.norm(passing(path, 100.0, rng) - path, axis=1)
        assert distance.min() <= 21 and distance.max() > 100


def test_a_wave_is_smooth_and_of_its_amplitude():
    curves = np.stack([wave(200, 2.0, rng) for rng in generators(200)])
    assert curves.std() == pytest.approx(1.6, abs=0.3)
    assert np.abs(np.diff(curves, axis=1)).max() < 0.25
