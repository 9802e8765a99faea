import numpy as np
import pytest
import torch

from starktrack.geometry.crop import CropTransform, crop_transform, cut
from starktrack.models import crops as module
from starktrack.models.crops import cut_batch, gather_crops, normalise

IMAGENET_BLACK = [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225]


def frames(*sizes_hw, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes_hw]


def windows(count, seed, reach=200):
    """Random windows, many of them partly or wholly outside the image."""
    rng = np.random.default_rng(seed)
    origin = rng.integers(-reach, reach, (count, 2)).astype(float)
    return origin, rng.integers(1, 300, count).astype(float)


@pytest.mark.parametrize("geometry", ["published", "exact"])
@pytest.mark.parametrize("size", [16, 64])
@pytest.mark.parametrize("cut_crops", [cut_batch, gather_crops])
def test_a_batch_has_the_bytes_of_single_crops(geometry, size, cut_crops):
    images = frames((90, 160), (121, 77), (40, 40))
    origin, side = windows(60, seed=size)
    which = np.arange(60) % 3
    transform = CropTransform(origin, side, size)

    batch = cut_crops([torch.from_numpy(image) for image in images], which, transform, geometry)

    single = [cut(images[image], transform, geometry, index) for index, image in enumerate(which)]
    assert batch.images.shape == (60, size, size, 3) and batch.padding_mask.dtype == torch.bool
    np.testing.assert_array_equal(batch.images.numpy(), np.stack([crop.image for crop in single]))
    np.testing.assert_array_equal(
        batch.padding_mask.numpy(), np.stack([crop.padding_mask for crop in single])
    )
    shown = (~batch.padding_mask).float().mean().item()
    assert 0.02 < shown < 0.9, "the sweep must hold windows both inside and outside"


def test_a_window_of_the_crop_size_shows_the_pixels_themselves():
    image = frames((8, 8))[0]
    transform = CropTransform(np.array([[2.0, 3.0]]), np.array([4.0]), 4)
    crop = gather_crops([torch.from_numpy(image)], np.array([0]), transform, "exact")
    np.testing.assert_array_equal(crop.images[0].numpy(), image[3:7, 2:6])
    assert not crop.padding_mask.any()


def test_published_geometry_drops_the_last_column_of_the_image():
    image = np.full((4, 4, 3), 255, np.uint8)
    transform = CropTransform(np.array([[0.0, 0.0]]), np.array([4.0]), 4)
    crop = gather_crops([torch.from_numpy(image)], np.array([0]), transform, "published")
    assert crop.padding_mask[0].tolist() == [[False] * 3 + [True]] * 3 + [[True] * 4]
    assert crop.images[0, :, :, 0].tolist() == [[255, 255, 255, 0]] * 3 + [[0] * 4]


def test_many_windows_are_gathered_in_chunks_with_the_same_result(monkeypatch):
    image = torch.from_numpy(frames((64, 64))[0])
    origin, side = windows(10, seed=1, reach=50)
    whole = gather_crops([image], np.zeros(10, np.int64), CropTransform(origin, side, 16), "exact")
    monkeypatch.setattr(module, "PIXELS_AT_ONCE", 3 * 16 * 16)
    parts = gather_crops([image], np.zeros(10, np.int64), CropTransform(origin, side, 16), "exact")
    assert torch.equal(whole.images, parts.images)


def test_black_is_normalised_to_minus_mean_over_deviation():
    black = normalise(torch.zeros(1, 2, 2, 3, dtype=torch.uint8))
    assert black.shape == (1, 3, 2, 2)
    assert black.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(black[0, :, 0, 0], torch.tensor(IMAGENET_BLACK))


@pytest.mark.shared
def test_crops_and_normalised_values_match_the_authors_code(shared):
    import sys

    sys.path.insert(0, str(shared / "golden"))
    from synth_video import image as golden_image

    sys.path.pop(0)
    golden = np.load(shared / "golden/golden_inputs.npz")
    frame = torch.from_numpy(golden_image())
    swept = 0
    for name, box, factor, size in zip(
        ["z1", "z2", "x", "xc"], golden["boxes"], [2.0, 2.0, 5.0, 5.0], [128, 128, 320, 320], strict=True
    ):
        transform = crop_transform(box[None], factor, size)
        for cut_crops in (cut_batch, gather_crops):
            crop = cut_crops([frame], np.array([0]), transform, "published")
            mask = np.unpackbits(golden[f"{name}_mask"])[: size * size].reshape(size, size).astype(bool)
            np.testing.assert_array_equal(crop.images[0].numpy(), golden[f"{name}_crop"])
            np.testing.assert_array_equal(crop.padding_mask[0].numpy(), mask)
            swept += 1
        if f"{name}_norm_strided" in golden:
            values = normalise(crop.images)[0, :, ::8, ::8].numpy()
            np.testing.assert_allclose(values, golden[f"{name}_norm_strided"], atol=1e-6)
    assert swept == 8
