"""Pictures as users have them become RGB frames, or are refused with what to call."""

import sys
import types

import jaxtyping
import numpy as np
import pytest

from starktrack.errors import InputError
from starktrack.tracking.images import as_rgb

PICTURE = np.arange(2 * 5 * 3, dtype=np.uint8).reshape(2, 5, 3)


def test_an_rgb_array_is_taken_as_it_is():
    assert as_rgb(PICTURE) is PICTURE


def test_bgr_is_turned_round_into_an_array_of_its_own():
    found = as_rgb(PICTURE, "bgr")
    np.testing.assert_array_equal(found, PICTURE[..., ::-1])
    assert found.flags.c_contiguous


@pytest.mark.parametrize("shape", [(2, 5), (2, 5, 1)])
@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_grey_arrays_get_three_equal_channels(shape, color):
    grey = np.arange(10, dtype=np.uint8)
    np.testing.assert_array_equal(as_rgb(grey.reshape(shape), color), np.stack([grey.reshape(2, 5)] * 3, -1))


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "CMYK"])
def test_pillow_images_without_alpha_are_taken(mode):
    from PIL import Image

    image = Image.fromarray(PICTURE).convert(mode)
    np.testing.assert_array_equal(as_rgb(image), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "I;16", "F"])
def test_pillow_images_that_lose_something_are_refused(mode):
    from PIL import Image

    with pytest.raises(InputError, match=rf"got mode {mode}; call image.convert"):
        as_rgb(Image.new(mode, (5, 2)))


def test_a_pillow_image_has_its_own_order():
    from PIL import Image

    with pytest.raises(InputError, match="leave color out"):
        as_rgb(Image.fromarray(PICTURE), "bgr")


def test_tensors_are_taken_with_channels_first_or_last():
    import torch

    tensor = torch.from_numpy(PICTURE)
    for given in (tensor, tensor.permute(2, 0, 1)):
        np.testing.assert_array_equal(as_rgb(given), PICTURE)
        np.testing.assert_array_equal(as_rgb(given, "bgr"), PICTURE[..., ::-1])
    np.testing.assert_array_equal(as_rgb(tensor[None, ..., 0]), np.stack([PICTURE[..., 0]] * 3, -1))


def test_tensors_that_could_mean_two_things_are_refused():
    import torch

    with pytest.raises(InputError, match=r"got torch.uint8 \[3, 5, 3\]; channels may be first or last"):
        as_rgb(torch.zeros((3, 5, 3), dtype=torch.uint8))
    with pytest.raises(InputError, match=r"got torch.float32 \[3, 5, 4\]; call .*to\(torch.uint8\)"):
        as_rgb(torch.zeros((3, 5, 4)))
    with pytest.raises(InputError, match=r"got uint8 \[2, 3, 5, 5\]; give one picture at a time"):
        as_rgb(torch.zeros((2, 3, 5, 5), dtype=torch.uint8))


def test_another_order_is_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(InputError, match="color must be rgb or bgr, got 'gray'"):
        as_rgb(PICTURE, "gray")


@pytest.mark.parametrize("module", ["PIL.Image", "torch"])
def test_a_library_that_another_thread_imports_right_now_does_no_harm(monkeypatch, module):
    half = types.ModuleType(module)  # In sys.modules from the start of its import, its classes not yet in it.
    monkeypatch.setitem(sys.modules, module, half)
    image = np.zeros((2, 3, 3), np.uint8)
    assert as_rgb(image) is image
