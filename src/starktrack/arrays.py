"""Array types used everywhere, as jaxtyping aliases; shapes are checked by every test run.

`Image`, `Box` … are NumPy arrays; `AnyBoxes` is NumPy or torch, for arithmetic that serves both.
Pictures of one call may differ in size, so the axes of `Image` are not compared. Frames of reference and
units are stated once, in docs/conventions.md.
"""

from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, UInt8

Image: TypeAlias = UInt8[np.ndarray, "_height _width 3"]
SquareImage: TypeAlias = UInt8[np.ndarray, "side side 3"]
PaddingMask: TypeAlias = Bool[np.ndarray, "side side"]
Box: TypeAlias = Float[np.ndarray, "4"]
Boxes: TypeAlias = Float[np.ndarray, "num_boxes 4"]
Scores: TypeAlias = Float[np.ndarray, " num_boxes"]
AnyBoxes: TypeAlias = Float[Any, "*batch 4"]
AnyValues: TypeAlias = Float[Any, "*batch"]
