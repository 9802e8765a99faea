import numpy as np
import pytest
from tests.memory import MemoryCollection, moving_video

from starktrack.config.data import AugmentConfig, DataConfig, JitterConfig, SamplingConfig
from starktrack.config.schema import BackboneConfig, CropConfig, RefineModel
from starktrack.data.samples.batch import join_crops, join_frames
from starktrack.data.samples.drawing import Mixture
from starktrack.data.samples.outline import cut_outline
from starktrack.data.samples.sample import Samples
from starktrack.data.selection import outlined
from starktrack.errors import DatasetError
from starktrack.geometry.crop import CropTransform

MODEL = RefineModel(
    backbone=BackboneConfig(name="test_efficientnet"), crop=CropConfig(side=64, factor=2.0), bins=3, width=16
)
SIDE_HW = (60, 80)


class BoxMasks:
    """Masks that fill the boxes of a sequence."""

    def __init__(self, boxes_xywh):
        self.boxes_xywh = boxes_xywh

    def __len__(self):
        return len(self.boxes_xywh)

    def read(self, index):
        mask = np.zeros(SIDE_HW, bool)
        left, top, width, height = np.round(self.boxes_xywh[index]).astype(int)
        mask[top : top + height, left : left + width] = True
        return mask


def masked_video(seed):
    from dataclasses import replace

    video = moving_video(seed, size_hw=SIDE_HW)
    boxes = np.round(video.boxes_xywh)
    return replace(video, boxes_xywh=boxes, masks=BoxMasks(boxes))


def samples(*videos, **augment):
    data = DataConfig(
        sampling=SamplingConfig(min_length=5),
        jitter=JitterConfig(search_centre=0.5, search_scale=0.25),
        augment=AugmentConfig(**{"joint_flip": 0.0, "flip": 0.0, **augment}),
    )
    return Samples(Mixture((MemoryCollection(videos),), (1.0,)), MODEL, data)


def window(left, top, side, size):
    return CropTransform(np.array([[left, top]], float), np.array([side], float), size)


def test_an_outline_is_cut_like_its_picture():
    mask = np.zeros((10, 10), bool)
    mask[2:4, 3:5] = True
    cut = cut_outline(mask, window(2, 1, 4, 8))
    # Two pixels for each of the mask; its columns 3 and 4 lie 1 to 3 behind the window's left edge.
    expected = np.zeros((8, 8), bool)
    expected[2:6, 2:6] = True
    assert cut.tolist() == expected.tolist()


def test_beyond_the_picture_nothing_is_the_targets():
    cut = cut_outline(np.ones((4, 4), bool), window(-2, 0, 4, 4))
    assert cut.tolist() == [[False, False, True, True]] * 4


def test_the_outline_fills_the_box_of_its_sample_mirrored_or_not():
    from starktrack.training.batches import finish

    for flip in (0.0, 1.0):
        drawn = samples(masked_video(0), flip=flip)
        batch = finish(join_crops([drawn[0, k] for k in range(4)], "exact"), _cpu(), "exact")
        for pixels, box in zip(batch.outlines.pixels.numpy(), batch.box_cxcywh.numpy(), strict=True):
            rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
            edges = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) / 64
            true = np.concatenate([box[:2] - box[2:] / 2, box[:2] + box[2:] / 2]).clip(0, 1)
            np.testing.assert_allclose(edges, true, atol=1 / 64)


def _cpu():
    import torch

    return torch.device("cpu")


def test_the_templates_box_is_the_one_it_was_cut_around():
    outlines = join_frames([samples(masked_video(0))[0, k] for k in range(3)]).answers.outlines
    # 16 x 12 pixels in a window of twice the root of their product, 28 pixels.
    np.testing.assert_allclose(outlines.template_boxes[:, 2:].numpy(), [[16 / 28, 12 / 28]] * 3, rtol=1e-6)
    np.testing.assert_allclose(outlines.template_boxes[:, :2].numpy(), 0.5, atol=0.5 / 28)


def test_what_nobody_outlined_is_marked_unknown():
    batch = join_crops([samples(moving_video(0))[0, 0], samples(masked_video(1))[0, 0]], "exact")
    assert batch.answers.outlines.known.tolist() == [False, True]
    assert not batch.answers.outlines.pixels[0].any()


def test_trackers_get_no_outlines(small_model):
    video = masked_video(0)
    drawn = Samples(Mixture((MemoryCollection([video]),), (1.0,)), small_model(), DataConfig())
    assert drawn[0, 0].outline is None
    assert join_crops([drawn[0, 0]], "exact").answers.outlines is None


def test_only_sequences_with_outlines_are_kept():
    kept = outlined(MemoryCollection([moving_video(0), masked_video(1), moving_video(2)]))
    assert (kept.names, len(kept), kept[0].name) == (["video-1"], 1, "video-1")
    with pytest.raises(DatasetError, match="needs sequences with masks or polygons, got none"):
        outlined(MemoryCollection([moving_video(0)]))
