"""A real clip that comes with the package: a helicopter that flies closer, in front of clouds and sky.

`helicopter.mp4`: 240 frames of 640 x 512 pixels, CC0 1.0, from the Drone Detection Dataset of the repository
DroneDetectionThesis/Drone-detection-dataset. The boxes are hand-made.
"""

from importlib.resources import files
from pathlib import Path

CLIP = Path(str(files(__name__))) / "helicopter.mp4"

BOXES_XYWH = {
    0: (306.0, 380.0, 16.0, 24.0),
    34: (296.0, 300.0, 44.0, 40.0),
    68: (264.0, 240.0, 66.0, 64.0),
    102: (240.5, 179.5, 83.5, 72.5),
    136: (250.0, 182.0, 98.0, 74.0),
    170: (239.0, 176.0, 107.0, 72.0),
    204: (213.0, 201.0, 95.5, 73.0),
    239: (282.0, 195.0, 78.0, 81.0),
}
"""The helicopter with its rotor by frame, in image pixels, drawn by eye to about 2 pixels."""
