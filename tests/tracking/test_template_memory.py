"""A template that is cut later equals the one that would have been cut from the frame at once."""

import numpy as np
import pytest

from starktrack.config.schema import CropConfig, ModelConfig
from starktrack.geometry.crop import crop_transform, cut
from starktrack.tracking.template_memory import Sight

BOXES = {
    "inside": (100.3, 80.7, 40.2, 33.1),
    "at the corner": (-5.5, -3.25, 30.0, 30.0),
    "at the other corner": (290.0, 220.5, 40.0, 30.0),
    "window ends with the frame": (130.0, 200.0, 20.0, 20.0),
    "larger than the frame": (-20.0, -30.0, 400.0, 300.0),
    "a line, the window outside": (310.0, 20.0, 900.0, 1.0),
    "tiny": (50.25, 60.5, 0.3, 0.2),
}


@pytest.mark.parametrize("geometry", ["exact", "published"])
@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_a_template_cut_from_a_sight_equals_the_one_cut_from_the_frame(box, geometry):
    model = ModelConfig(geometry=geometry, template=CropConfig(side=128, factor=2.0))
    frame = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    box_xywh = np.array(box)
    sight = Sight.of(frame, box_xywh, 0.9, model)
    crops = [
        cut(image, crop_transform(at[None], model.template.factor, model.template.side), geometry)
        for image, at in ((frame, box_xywh), (sight.image, sight.box_xywh))
    ]
    np.testing.assert_array_equal(crops[0].image, crops[1].image)
    np.testing.assert_array_equal(crops[0].padding_mask, crops[1].padding_mask)
    assert sight.image.base is None and sight.image.size <= frame.size
