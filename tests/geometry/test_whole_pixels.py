import numpy as np
import pytest

from starktrack.geometry.boxes import whole_pixels


@pytest.mark.parametrize(
    ("box", "pixels"),
    [
        # Edges 10.4 to 12.6 and 20.6 to 23.6 become 10 to 13 and 21 to 24.
        ((10.4, 20.6, 2.2, 3.0), (10, 21, 3, 3)),
        ((-3.0, -2.0, 5.0, 4.0), (0, 0, 2, 2)),
        ((7.0, 7.0, 0.2, 0.2), (7, 7, 1, 1)),
        ((-9.0, 1.0, 3.0, 2.0), (0, 1, 1, 2)),
    ],
)
def test_a_box_becomes_the_pixels_between_its_rounded_edges(box, pixels):
    assert whole_pixels(np.array(box)) == pixels
