import dataclasses

import numpy as np
import pytest
import torch
from tests.memory import MemoryCollection, moving_video, small_collection

from starktrack.config.data import AugmentConfig, DataConfig, LoaderConfig, SamplingConfig
from starktrack.config.schema import CropConfig, ModelConfig
from starktrack.data.samples.batch import CropBatch, FrameBatch, join_crops, join_frames
from starktrack.data.samples.drawing import Mixture
from starktrack.data.samples.loader import BatchKeys
from starktrack.data.samples.sample import Samples
from starktrack.models import crops as crops_module
from starktrack.training.batches import Collate, crop_place, finish, load_batches

CPU = torch.device("cpu")
FULL_RANGE = AugmentConfig(
    contrast=0.3, saturation=0.3, gain=0.2, blur=0.5, noise=0.5, search_occlusion=0.5, template_occlusion=0.5
)


def samples(collection=None, geometry="exact", augment=FULL_RANGE):
    model = ModelConfig(
        num_templates=2,
        search=CropConfig(side=64, factor=5.0),
        template=CropConfig(side=32, factor=2.0),
        geometry=geometry,
    )
    data = DataConfig(sampling=SamplingConfig(mode="trident_pro", negative_share=0.3), augment=augment)
    return Samples(Mixture((collection or small_collection(),), (1.0,)), model, data)


def tensors(batch):
    values = {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)}
    return {name: value for name, value in values.items() if isinstance(value, torch.Tensor)}


def assert_equal_batches(first, second, tolerance=0.0):
    for name, value in tensors(first).items():
        torch.testing.assert_close(value, tensors(second)[name], rtol=0, atol=tolerance, msg=name)
    assert first.skipped == second.skipped


def test_a_batch_has_the_shapes_of_the_model():
    everything = samples()
    batch = finish(join_crops([everything[0, k] for k in range(3)], "exact"), CPU, "exact")
    assert len(batch) == 3
    assert batch.templates.shape == (3, 2, 3, 32, 32) and batch.template_masks.shape == (3, 2, 32, 32)
    assert batch.search.shape == (3, 3, 64, 64) and batch.search_mask.shape == (3, 64, 64)
    assert batch.box_cxcywh.shape == (3, 4) and set(batch.label.tolist()) <= {0.0, 1.0}
    assert batch.templates.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("geometry", ["published", "exact"])
@pytest.mark.parametrize("gathers", [False, True])
def test_crops_cut_in_the_worker_and_on_the_device_give_the_same_batch(geometry, gathers, monkeypatch):
    if gathers:
        monkeypatch.setattr("starktrack.training.batches.cut_batch", crops_module.gather_crops)
    everything = samples(geometry=geometry)
    drawn = [everything[0, k] for k in range(24)]
    in_worker, on_device = join_crops(drawn, geometry), join_frames(drawn)
    assert isinstance(in_worker, CropBatch) and isinstance(on_device, FrameBatch)
    assert_equal_batches(finish(in_worker, CPU, geometry), finish(on_device, CPU, geometry))


def test_a_sample_is_the_same_alone_and_in_a_batch():
    everything = samples()
    drawn = [everything[1, k] for k in range(6)]
    together = finish(join_crops(drawn, "exact"), CPU, "exact")
    alone = [finish(join_crops([sample], "exact"), CPU, "exact") for sample in drawn]
    for name, value in tensors(together).items():
        single = torch.cat([tensors(batch)[name] for batch in alone])
        torch.testing.assert_close(value, single, rtol=0, atol=1e-6)


def test_the_box_of_the_batch_lies_on_the_target_that_is_seen():
    """A bright square on black must be where the box says, mirrored or not."""

    class Square:
        def __len__(self):
            return 1

        def read(self, index):
            frame = np.zeros((100, 120, 3), np.uint8)
            frame[30:50, 40:70] = 255
            return frame

    square = dataclasses.replace(moving_video(1, length=1, box=(40.0, 30.0, 30.0, 20.0)), frames=Square())
    data = samples(MemoryCollection([square]), augment=AugmentConfig(brightness=0))
    data = dataclasses.replace(data, data=dataclasses.replace(data.data, sampling=SamplingConfig()))
    batch = finish(join_crops([data[0, k] for k in range(16)], "exact"), CPU, "exact")
    seen = 0
    for image, (cx, cy, w, h) in zip(batch.search[:, 0], batch.box_cxcywh, strict=True):
        rows, columns = (image > 0).nonzero().T
        if min(cx - w / 2, cy - h / 2) > 0.02 and max(cx + w / 2, cy + h / 2) < 0.98:
            centre = (columns.float().mean() + 0.5) / 64, (rows.float().mean() + 0.5) / 64
            assert torch.stack(centre).sub(torch.stack([cx, cy])).abs().max() < 0.012
            seen += 1
    assert seen >= 8


@pytest.mark.parametrize("place", ["worker", "device"])
def test_the_cpu_loader_hands_over_finished_batches(place):
    everything = samples()
    loader = load_batches(everything, BatchKeys(8, 4), LoaderConfig(num_workers=0, crop_in=place), CPU)
    batches = [finish(raw, CPU, "exact") for raw in loader]
    expected = finish(join_crops([everything[0, k] for k in range(4)], "exact"), CPU, "exact")
    assert len(batches) == 2
    assert_equal_batches(batches[0], expected)


def test_worker_processes_give_the_batches_of_the_main_process():
    everything = samples()
    keys = BatchKeys(num_samples=12, batch_size=4)
    alone = list(load_batches(everything, keys, LoaderConfig(num_workers=0), CPU))
    loader = load_batches(everything, keys, LoaderConfig(num_workers=2), CPU)
    for first, second in zip(alone, loader, strict=True):
        assert_equal_batches(first, second, tolerance=1e-6)
    keys.begin(epoch=1, first_step=2)
    (last,) = list(loader)
    keys.begin(epoch=1)
    expected = list(load_batches(everything, keys, LoaderConfig(num_workers=0), CPU))[2]
    assert_equal_batches(last, expected, tolerance=1e-6)


def test_for_a_gpu_the_workers_leave_what_they_can_to_it():
    drawn = [samples()[0, 0]]
    assert isinstance(Collate("device", "cuda", "exact")(drawn), FrameBatch)
    assert isinstance(Collate("worker", "cuda", "exact")(drawn), CropBatch)


def test_crops_are_cut_by_the_workers_on_a_cpu_and_on_the_device_on_a_gpu():
    assert crop_place(LoaderConfig(), CPU) == "worker"
    assert crop_place(LoaderConfig(), torch.device("cuda")) == "device"
    assert crop_place(LoaderConfig(crop_in="worker"), torch.device("cuda")) == "worker"


def test_broken_frames_are_reported_with_their_batch():
    collection = MemoryCollection([moving_video(1, broken=range(0, 30, 3)), moving_video(2)])
    loader = load_batches(samples(collection), BatchKeys(32, 16), LoaderConfig(num_workers=0), CPU)
    skipped_samples = [text for batch in loader for text in batch.skipped]
    assert skipped_samples and all("of video 1 is not" in text for text in skipped_samples)
