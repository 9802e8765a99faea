"""Pictures of more than 8 bits (thermal and industrial cameras, float TIFF) as RGB of 8 bits."""

import warnings
from typing import TypeAlias

import numpy as np

from starktrack.arrays import Image
from starktrack.errors import InputError, SourceWarning

IntensityRange: TypeAlias = tuple[int | float, int | float]
"""LOW and HIGH in the counts of the source, shown as black and as white."""

PERCENTILES = (0.1, 99.9)
"""Percentiles of the first picture that become black and white: beyond one dead pixel in a thousand, within a target
of a few pixels.
"""

_ROWS_AT_ONCE = 256


class IntensityScale:
    """Maps the pictures of one source to 8 bits, all alike: LOW becomes 0, HIGH becomes 255.

    Pictures of 8 bits stay as they are, unless limits are given. The first deeper picture fixes the limits
    of all: its `PERCENTILES`, over all channels. A `SourceWarning` gives the limits.

    Args:
        name: Name of the source in the warning.
        limits: LOW and HIGH in the counts of the source, in place of the percentiles.

    Raises:
        InputError: The limits are not finite, or HIGH is not above LOW.

    Example:
        >>> scale = IntensityScale("thermal.tif", (7300, 7500))
        >>> scale.to_rgb(np.array([[7300, 7400, 7600]], np.uint16))[0, :, 0].tolist()
        [0, 127, 255]
    """

    def __init__(self, name: str, limits: IntensityRange | None = None) -> None:
        if limits is not None and not (np.isfinite(limits).all() and limits[0] < limits[1]):
            raise InputError(
                f"a range must be two numbers LOW,HIGH with LOW below HIGH, got {limits[0]:g},{limits[1]:g}"
            )
        self._name = name
        self._limits = limits

    def to_rgb(self, image: np.ndarray) -> Image:
        """Return a picture [height, width] or [height, width, 3] of any real type as RGB of 8 bits."""
        if image.dtype != np.uint8 or self._limits is not None:
            low, high = self._limits = self._limits or self._measured(image)
            mapped = np.empty(image.shape, np.uint8)
            for first in range(
                0, len(image), _ROWS_AT_ONCE
            ):  # floats of 64 bits of a large picture are gigabytes
                rows = slice(first, first + _ROWS_AT_ONCE)
                levels = (image[rows].astype(np.float64) - low) * (255 / (high - low))
                mapped[rows] = np.nan_to_num(levels, nan=0.0).clip(0, 255).round()
            image = mapped
        return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)

    def _measured(self, image: np.ndarray) -> IntensityRange:
        finite = image[np.isfinite(image)]
        low, high = np.percentile(finite, PERCENTILES).tolist() if finite.size else (0.0, 1.0)
        if high <= low:
            high = low + 1.0
        warnings.warn(
            f"{self._name}: pictures of type {image.dtype} are mapped to 8 bits from {low:g} to {high:g}, the "
            f"percentiles {PERCENTILES[0]:g} and {PERCENTILES[1]:g} of the first; "
            "--range LOW,HIGH (intensity_range=) sets others",
            SourceWarning,
            stacklevel=3,
        )
        return low, high
