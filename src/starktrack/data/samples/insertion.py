"""Inserts distractors into the search regions of a run, and draws the pictures and objects for them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from starktrack.config.data import DistractorConfig
from starktrack.data.same_class import TargetsByClass
from starktrack.data.samples.distractors import (
    SearchView,
    with_background_fill,
    with_distractor,
    with_target_copies,
)
from starktrack.data.samples.drawing import FramePlace, Mixture, find
from starktrack.data.synthetic.warping import warped
from starktrack.data.video_sequence import VideoSequence


@dataclass(frozen=True)
class DistractorInserter:
    """Inserts copies of the target, other objects and other pictures into search regions.

    Attributes:
        mixture: Where they come from.
        config: Probabilities.
    """

    mixture: Mixture
    config: DistractorConfig

    @cached_property
    def _by_class(self) -> tuple[TargetsByClass, ...]:
        return tuple(TargetsByClass(collection) for collection in self.mixture.collections)

    def inserted(self, view: SearchView, place: FramePlace, rng: np.random.Generator) -> SearchView:
        """Return the search region with its distractors.

        A region with another target of its video is not warped, since the boxes of the others would be unknown then,
        and gets no copies or distractors, since real ones are better.
        """
        config = self.config
        if rng.random() < config.background_fill:
            other, index = self._any(place, rng)
            view = view if other is None else with_background_fill(view, other.frames.read(index), rng)
        has_others = bool(len(view.others_inside()))
        # A setting that is off draws no number, so that the samples of other recipes do not change.
        if config.warps and rng.random() < config.warps and not has_others:
            view = warped(view, rng)
        if rng.random() < config.target_copies and not has_others:
            view = with_target_copies(view, config, rng)
        if rng.random() < config.distractors and not has_others:
            other, index = self._of_same_class(place, rng) or self._any(place, rng)
            if other is not None and other.visible[index]:
                mask = None if other.masks is None else other.masks.read(index)
                view = with_distractor(view, other.frames.read(index), other.boxes_xywh[index], mask, rng)
        return view

    def _any(self, place: FramePlace, rng: np.random.Generator) -> tuple[VideoSequence | None, int]:
        """Return a sequence of any data set and a frame of it; None if it may show the target."""
        which = int(rng.integers(len(self.mixture.collections)))
        other = self.mixture.sequence(which, int(rng.integers(len(self.mixture.collections[which]))))
        shares = other.origins & find(self.mixture, place).origins
        return None if shares else other, int(rng.integers(len(other)))

    def _of_same_class(self, place: FramePlace, rng: np.random.Generator) -> tuple[VideoSequence, int] | None:
        """Return another target of the same class and a frame of it; None if the class does not matter."""
        # As above: no number where it is off.
        if not self.config.same_class or rng.random() >= self.config.same_class:
            return None
        target = find(self.mixture, place)
        for which in rng.permutation(len(self._by_class)):
            other = self._by_class[which].draw(
                target.object_class, target.origins, rng, fits=lambda sequence: bool(sequence.visible.any())
            )
            if other is not None:
                return other, int(rng.choice(np.flatnonzero(other.visible)))
        return None
