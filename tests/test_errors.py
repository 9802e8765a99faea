"""Errors reach other processes as they are."""

import copy
import pickle

import pytest

from starktrack import errors
from starktrack.errors import (
    ConfigError,
    DeviceError,
    InputError,
    MissingExtraError,
    StarktrackError,
    VideoBrokenError,
)


@pytest.mark.parametrize(
    "error",
    [
        DeviceError("no GPU"),
        ConfigError(),
        MissingExtraError("ray", "ray", "a batch on Ray"),
        VideoBrokenError("broke off", num_frames=3),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_the_same_in_another_process(error):
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(again), again.args, str(again)) == (type(error), error.args, str(error))
        assert vars(again) == vars(error)


def test_every_error_can_be_sent_without_the_arguments_of_its_class():
    kinds = [
        each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, StarktrackError)
    ]
    assert len(kinds) > 10
    for kind in kinds:
        error = kind.__new__(kind, "text")
        assert str(pickle.loads(pickle.dumps(error))) == "text"


def test_the_name_of_a_file_cannot_drive_the_terminal():
    error = InputError("red\x1b[31m\x07\x9b2J.mp4 must be\ta video,\ngot Füße\u2028✓")
    assert str(error) == "red\\x1b[31m\\x07\\x9b2J.mp4 must be\ta video,\ngot Füße\u2028✓"
    assert error.args == ("red\x1b[31m\x07\x9b2J.mp4 must be\ta video,\ngot Füße\u2028✓",)
