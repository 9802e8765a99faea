import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional

from starktrack.config.schema import BackboneConfig
from starktrack.data.video.image_files import read_image
from starktrack.errors import CheckpointError
from starktrack.models.backbone import build_backbone
from starktrack.models.crops import normalise

CONFIG = BackboneConfig(name="mobilenetv2_100", padding="same")
FILE = "data/weights/mobilenet_v2_imagenet_folded.npz"


STRIDE_16, ALL = 39, 52
"""Convolutions up to the features that we use, and in the file."""


def as_the_file_says(path, picture):
    """Return the stride-16 features by the file's own rules: its scale, its padding, its activations."""
    return go_on(path, torch.from_numpy(picture).permute(2, 0, 1)[None] / 127.5 - 1, 0, STRIDE_16)


def go_on(path, features, first, last):
    """Return what the file's convolutions from `first` to before `last` make of features."""
    file = np.load(path)
    skip = None
    for index in range(first, last):
        stride, groups, activation = (int(v) for v in file[f"conv{index:02d}_meta"])
        weight, bias = (torch.from_numpy(file[f"conv{index:02d}_{kind}"]).float() for kind in ("w", "b"))
        expands = groups == 1 and activation == 3 and index > 0
        skip = features if expands else skip
        pad = weight.shape[-1] - 1
        if stride == 2:
            features = functional.pad(features, (0, pad // 2, 0, pad // 2))
            features = functional.conv2d(features, weight, bias, stride, 0, groups=groups)
        else:
            features = functional.conv2d(features, weight, bias, 1, pad // 2, groups=groups)
        features = functional.relu6(features) if activation == 3 else features
        if activation == 0 and skip is not None and skip.shape == features.shape:
            features = features + skip
        skip = None if activation == 0 else skip
    return features


def real_pictures(shared):
    """Return three photographs of different sources, 224 pixels wide and high."""
    files = sorted((shared / "data/train/backgrounds").iterdir())
    read = [read_image(files[index]) for index in (0, len(files) // 2, len(files) - 1)]
    return [cv2.resize(picture, (224, 224), interpolation=cv2.INTER_AREA) for picture in read]


def strongest(features):
    """Return the five channels that answer most."""
    return features.mean(dim=(0, 2, 3)).topk(5).indices.tolist()


@pytest.mark.parametrize("index", range(3))
def test_folded_weights_give_the_features_of_the_network_they_come_from(shared, index):
    path, picture = shared / FILE, real_pictures(shared)[index]
    backbone = build_backbone(CONFIG, weights=path)
    with torch.no_grad():
        ours = backbone(normalise(torch.from_numpy(picture)[None]))
        theirs = as_the_file_says(path, picture)
    assert ours.shape == theirs.shape == (1, 96, 14, 14)
    # Beyond the right and bottom border the file's network pads grey, ours the mean colour.
    inside = (..., slice(0, 6), slice(0, 6))
    assert (ours[inside] - theirs[inside]).abs().max() <= 1e-3 * theirs.abs().max()
    assert strongest(ours[inside]) == strongest(theirs[inside])


def test_folded_weights_see_the_same_five_classes(shared):
    """The file ends before ImageNet's classifier: a class is what a picture of it looks like to the file's network."""
    path = shared / FILE
    files = sorted((shared / "data/train/backgrounds").iterdir())[::10]
    pictures = [cv2.resize(read_image(file), (224, 224), interpolation=cv2.INTER_AREA) for file in files]
    backbone = build_backbone(CONFIG, weights=path)

    def look(features):
        """Return the last features of the file's network, going on from those of stride 16."""
        return functional.normalize(go_on(path, features, STRIDE_16, ALL).mean(dim=(2, 3)), dim=1)[0]

    with torch.no_grad():
        classes = torch.stack([look(as_the_file_says(path, picture)) for picture in pictures])
        for own in range(0, len(files), 9):
            mirrored = np.ascontiguousarray(pictures[own][:, ::-1])
            ours = look(backbone(normalise(torch.from_numpy(mirrored)[None])))
            theirs = look(as_the_file_says(path, mirrored))
            assert (classes @ ours).argmax() == own, files[own].stem
            assert set((classes @ ours).topk(5).indices.tolist()) == set(
                (classes @ theirs).topk(5).indices.tolist()
            )


def test_a_file_of_another_network_is_refused(tmp_path):
    path = tmp_path / "other.npz"
    np.savez(path, conv00_w=np.zeros((4, 3, 3, 3), np.float32), conv00_b=np.zeros(4, np.float32))
    with pytest.raises(
        CheckpointError, match=r"convolution 0 .* must have shape \[32, 3, 3, 3\], got \[4, 3"
    ):
        build_backbone(CONFIG, weights=path)


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "damaged.npz"
    path.write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(CheckpointError, match=r"must be an \.npz with conv00_w"):
        build_backbone(CONFIG, weights=path)
