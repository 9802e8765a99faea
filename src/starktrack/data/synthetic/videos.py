"""Video made from still pictures: cut-outs that move, turn, blur and hide, with exact boxes and masks.

Video k is a pure function of (seed, k), and a frame is painted when it is read. Recoloured copies of the target and
other objects move beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Bool, UInt8

from starktrack.arrays import Image
from starktrack.config.data import SyntheticConfig
from starktrack.data.same_class import TargetsByClass
from starktrack.data.synthetic.cutouts import silhouette
from starktrack.data.synthetic.painting import paint, paint_background, relight
from starktrack.data.synthetic.scene import Scene, draw_scene, true_boxes, visible_share
from starktrack.data.video_sequence import SequenceCollection, VideoSequence

FAINTEST = 16
"""Smallest visible share of a pixel, of 255."""


@dataclass(frozen=True)
class SceneFrames:
    """The frames of a scene, painted when read."""

    scene: Scene

    def __len__(self) -> int:
        return len(self.scene.light)

    def read(self, index: int) -> Image:
        """Return frame `index`, painted."""
        scene = self.scene
        frame = paint_background(scene.background, scene.background_poses, index, scene.size_wh)
        for layer in scene.layers:
            paint(frame, layer.cutout, layer.poses, index, exposure=scene.exposure)
        return relight(frame, scene.light[index])


@dataclass(frozen=True)
class SceneMasks:
    """The masks of a scene's target, painted when read."""

    scene: Scene

    def __len__(self) -> int:
        return len(self.scene.light)

    def read(self, index: int) -> Bool[np.ndarray, "height width"]:
        """Return which pixels of frame `index` show the target."""
        return _paint_target(self.scene, index, exposure=0.0) >= 128


def leaves_no_trace(scene: Scene, index: int) -> bool:
    """Return whether frame `index` shows no trace of the target, such as an edge or a blur."""
    return bool(_paint_target(scene, index, exposure=scene.exposure).max() < FAINTEST)


def _paint_target(scene: Scene, index: int, *, exposure: float) -> UInt8[np.ndarray, "height width"]:
    """Return the target's share of each pixel, 0 to 255."""
    shown = np.zeros((*scene.size_wh[::-1], 3), np.uint8)
    for layer in scene.layers[scene.target :]:
        shade = 255.0 if layer is scene.layers[scene.target] else 0.0
        paint(shown, silhouette(layer.cutout, shade), layer.poses, index, exposure=exposure)
    return shown[..., 0]


@dataclass(frozen=True)
class SyntheticVideos:
    """Videos of objects from one data set over pictures from another.

    Attributes:
        objects: Source of targets and other objects, cut along their masks if there are any.
        backgrounds: Pictures to lay them on; their boxes are not used.
        config: Settings of the videos.
        seed: Another seed gives other videos.
    """

    objects: SequenceCollection
    backgrounds: SequenceCollection
    config: SyntheticConfig = field(default_factory=SyntheticConfig)
    seed: int = 0

    @cached_property
    def _by_class(self) -> TargetsByClass:
        return TargetsByClass(self.objects)

    @property
    def names(self) -> Sequence[str]:
        """Return the name of every video."""
        return _Names(self.seed, self.config.num_videos)

    def __len__(self) -> int:
        return self.config.num_videos

    def __getitem__(self, index: int) -> VideoSequence:
        """Return video `index`.

        Raises:
            DatasetError: A picture cannot be read.
            NothingUsableError: No picture holds an object that is large enough.
        """
        rng = np.random.default_rng([self.seed, index])
        scene = draw_scene(self.objects, self.backgrounds, self.config, rng, same_class=self._by_class)
        share = visible_share(scene)
        absent = share == 0
        # The share counts some points only; a sliver may be visible between them.
        absent[absent] = [leaves_no_trace(scene, int(frame)) for frame in np.flatnonzero(absent)]
        return VideoSequence(
            self.names[index],
            SceneFrames(scene),
            true_boxes(scene),
            share >= self.config.min_visible_share,
            object_class=scene.layers[scene.target].cutout.object_class,
            videos=scene.origins,
            masks=SceneMasks(scene),
            absent=absent,
        )


@dataclass(frozen=True)
class _Names(Sequence[str]):
    seed: int
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> str:
        if not 0 <= index < self.count:
            raise IndexError(index)
        return f"synthetic-{self.seed}-{index}"
