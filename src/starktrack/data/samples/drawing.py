"""Draws the frames of a training sample: pure functions of a random generator.

Convention: sample `index` of epoch `epoch` depends only on `(seed, epoch, index)`, so it is the same for any number
of processes, in any order, and after a restart.
"""

import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Int

from starktrack.arrays import Box
from starktrack.config.data import SamplingConfig
from starktrack.data.samples.mistakes import Mistake
from starktrack.data.video_sequence import SequenceCollection, VideoSequence
from starktrack.errors import DatasetError, NothingUsableError

GAP_STEP = 5
"""By how many frames the largest gap grows while a video has no two visible frames within it."""

MAX_DRAWS = 1000
"""Random draws before the sequences of a collection are tried one by one."""

MAX_SCANNED = 20_000
"""Sequences that are tried one by one before `NothingUsableError` is raised."""

KEPT_SEQUENCES = 4
"""Sequences kept ready: synthetic ones hold pictures."""


@dataclass(frozen=True)
class Mixture:
    """Data sets drawn from in proportion to their ratios (any positive numbers).

    Attributes:
        collections: The data sets.
        ratios: One for each.
        names: Their names in the recipe, used only to find the sequences of `sampling.mistakes`.
    """

    collections: tuple[SequenceCollection, ...]
    ratios: tuple[float, ...]
    names: tuple[str, ...] = ()
    _kept: OrderedDict[tuple[int, int], VideoSequence] = field(
        default_factory=OrderedDict, init=False, repr=False
    )

    def __post_init__(self) -> None:
        if not self.collections or len(self.collections) != len(self.ratios):
            raise DatasetError(
                f"a mixture must have one ratio per data set, got {len(self.collections)} data sets "
                f"and {len(self.ratios)} ratios"
            )
        if min(self.ratios) <= 0 or not all(len(collection) for collection in self.collections):
            raise DatasetError(
                "a mixture must have positive ratios and data sets that hold sequences, got ratios "
                f"{self.ratios} for {[len(c) for c in self.collections]} sequences; leave the empty one out"
            )

    def sequence(self, collection: int, index: int) -> VideoSequence:
        """Return a sequence by position; the last few are cached, because a sample reads its sequence several
        times.
        """
        key = (collection, index)
        if key not in self._kept:
            self._kept[key] = self.collections[collection][index]
            if len(self._kept) > KEPT_SEQUENCES:
                self._kept.popitem(last=False)
        return self._kept[key]


@dataclass(frozen=True)
class FramePlace:
    """One frame of one sequence of one collection, by position."""

    collection: int
    sequence: int
    frame: int


@dataclass(frozen=True)
class Triplet:
    """The frames of one sample.

    Attributes:
        templates: The initial template, then the dynamic ones.
        search: The frame to search. In a negative sample it is of another sequence, or of the same video without the
            target.
        is_positive: Whether the search region shows the templates' target.
        around_xywh: The box at the middle of the search region; None for the true box.
        neighbour_xywh: Another target of the frame, which the search region shows in place of the sequence's own.
    """

    templates: tuple[FramePlace, ...]
    search: FramePlace
    is_positive: bool
    around_xywh: Box | None = None
    neighbour_xywh: Box | None = None


def sample_generator(seed: int, epoch: int, index: int, attempt: int = 0) -> np.random.Generator:
    """Return the random generator of one attempt at one sample."""
    return np.random.default_rng([seed, epoch, index, attempt])


def find(mixture: Mixture, place: FramePlace) -> VideoSequence:
    """Return the sequence that a place points into."""
    return mixture.sequence(place.collection, place.sequence)


def draw_triplet(
    mixture: Mixture,
    config: SamplingConfig,
    rng: np.random.Generator,
    *,
    num_templates: int,
    search_factor: float = 5.0,
    mistakes: Sequence[tuple[int, int, Mistake]] = (),
) -> Triplet:
    """Return the frames of one sample.

    Args:
        mixture: Where they come from.
        config: The rules of sampling.
        rng: The source of randomness.
        num_templates: One initial, the rest dynamic.
        search_factor: Sides of a search region over those of the box that it lies around.
        mistakes: Hard examples with the positions of their data set and sequence, for `mistake_share`.

    Raises:
        NothingUsableError: A data set holds no video with enough visible frames, or no negative.
        DatasetError: The video that was drawn has no frame for a dynamic template.

    Source: section 4.1 and the authors' sampler; the negatives differ (`draw_negative`).
    """
    # A setting that is off draws no number, so that the samples of other recipes do not change.
    if config.mistake_share and rng.random() < config.mistake_share:
        return _draw_mistake(mixture, config, mistakes, rng, num_templates=num_templates)
    # As in the authors' sampler: more than twice as many visible frames as the sample has.
    min_visible = 2 * (1 + num_templates) + 1
    home, sequence = _draw_sequence(mixture, config, min_visible, rng)
    searched = None
    if config.near_share and sequence.others and rng.random() < config.near_share:
        searched = np.flatnonzero(sequence.distance_to_others() < config.near_distance)
    templates, search = choose_frames(sequence, config, rng, num_templates=num_templates, searched=searched)
    template_places = tuple(FramePlace(*home, frame) for frame in templates)
    if rng.random() >= config.negative_share:
        return Triplet(template_places, FramePlace(*home, search), is_positive=True)
    if config.neighbour_share and sequence.others and rng.random() < config.neighbour_share:
        found = draw_neighbour(sequence, search_factor, rng)
        if found is not None:
            place = FramePlace(*home, found[0])
            return Triplet(template_places, place, is_positive=False, neighbour_xywh=found[1])
    return Triplet(template_places, draw_negative(mixture, home, config, rng), is_positive=False)


def _draw_mistake(
    mixture: Mixture,
    config: SamplingConfig,
    mistakes: Sequence[tuple[int, int, Mistake]],
    rng: np.random.Generator,
    *,
    num_templates: int,
) -> Triplet:
    which, index, mistake = mistakes[int(rng.integers(len(mistakes)))]
    sequence = mixture.sequence(which, index)
    if mistake.frame >= len(sequence) or not sequence.visible[mistake.frame]:
        raise DatasetError(
            f"a mistake must be in a frame that shows its target, {sequence.name} does not in frame "
            f"{mistake.frame}; write the file anew with scripts/mine.py"
        )
    templates, search = choose_frames(
        sequence, config, rng, num_templates=num_templates, searched=np.array([mistake.frame])
    )
    around = np.array(mistake.box_xywh) if search == mistake.frame else None
    return Triplet(
        tuple(FramePlace(which, index, frame) for frame in templates),
        FramePlace(which, index, search),
        is_positive=True,
        around_xywh=around,
    )


def draw_neighbour(
    sequence: VideoSequence, search_factor: float, rng: np.random.Generator
) -> tuple[int, Box] | None:
    """Return a frame and the box of another target in it whose search region does not show the sequence's own.

    Both are labelled in that frame; None without such a frame. The nearest targets are as likely as the others.
    """
    frames, boxes = [], []
    for other in sequence.others:
        both = np.flatnonzero(sequence.visible & other.visible)
        theirs, own = other.boxes_xywh[both], sequence.boxes_xywh[both]
        away = np.abs(theirs[:, :2] + theirs[:, 2:] / 2 - own[:, :2] - own[:, 2:] / 2)
        # The region leaves out the own target if their centres are further apart, along x or along y, than half
        # the region and half the own box together.
        reach = search_factor * np.sqrt(theirs[:, 2:].prod(axis=1, keepdims=True)) / 2 + own[:, 2:] / 2 + 1
        clear = (away > reach).any(axis=1)
        frames.append(both[clear])
        boxes.append(theirs[clear])
    found = np.concatenate(frames) if frames else np.zeros(0, int)
    if not len(found):
        return None
    chosen = int(rng.integers(len(found)))
    return int(found[chosen]), np.concatenate(boxes)[chosen]


def choose_frames(
    sequence: VideoSequence,
    config: SamplingConfig,
    rng: np.random.Generator,
    *,
    num_templates: int,
    searched: Int[np.ndarray, " num_searched"] | None = None,
) -> tuple[tuple[int, ...], int]:
    """Return the template frames (initial first) and the search frame within one sequence.

    A still image is a sequence of one frame, which is then template and search. The search frame is one of `searched`
    where these are given and one of them has templates, else any visible one.
    """
    if len(sequence) == 1:
        return (0,) * num_templates, 0
    if config.mode == "causal":
        return causal_frames(
            sequence.visible, config.max_gap, rng, num_templates=num_templates, searched=searched
        )
    dynamic = has_box(sequence) if config.mode == "trident_pro" else sequence.visible
    far = bool(config.far_share) and rng.random() < config.far_share
    return trident_frames(
        sequence.visible,
        dynamic,
        config.max_gap,
        rng,
        num_templates=num_templates,
        searched=searched,
        far=far,
    )


def causal_frames(
    visible: Bool[np.ndarray, " num_frames"],
    max_gap: int,
    rng: np.random.Generator,
    *,
    num_templates: int = 1,
    searched: Int[np.ndarray, " num_searched"] | None = None,
) -> tuple[tuple[int, ...], int]:
    """Return templates and a later search frame fewer than `max_gap` frames after the first, all visible.

    Where no two visible frames are that close, the gap grows in steps of five until two are. Dynamic
    templates lie between the initial template and the search frame. The search frame is one of `searched` where one of
    these has a visible frame less than `max_gap` before it.
    """
    shown = np.flatnonzero(visible)
    if searched is not None:
        before = np.searchsorted(shown, searched)
        near = searched[(before > 0) & (searched - shown[np.maximum(before - 1, 0)] < max_gap)]
        if len(near):
            search = _pick(near, rng)
            between = shown[(shown < search) & (shown > search - max_gap)]
            template = _pick(between, rng)
            later = between[between >= template]
            return (template, *(_pick(later, rng) for _ in range(num_templates - 1))), search
    steps = np.diff(shown)
    # The first gap on the way up in steps at which two visible frames are close enough.
    gap = max_gap + GAP_STEP * max(0, math.ceil((steps.min() + 1 - max_gap) / GAP_STEP))
    template = _pick(shown[:-1][steps < gap], rng)
    search = _pick(shown[(shown > template) & (shown < template + gap)], rng)
    between = shown[(shown >= template) & (shown < search)]
    return (template, *(_pick(between, rng) for _ in range(num_templates - 1))), search


def trident_frames(
    visible: Bool[np.ndarray, " num_frames"],
    dynamic: Bool[np.ndarray, " num_frames"],
    max_gap: int,
    rng: np.random.Generator,
    *,
    num_templates: int = 2,
    searched: Int[np.ndarray, " num_searched"] | None = None,
    far: bool = False,
) -> tuple[tuple[int, ...], int]:
    """Return initial template and search frame anywhere, and dynamic templates near the search frame.

    The dynamic templates lie on the side of the search frame where the initial one lies: within
    [search, search + max_gap) if that is not before it, else within [search - max_gap, search).

    Args:
        visible: Where the initial template and the search frame may lie.
        dynamic: Where the dynamic templates may lie.
        max_gap: Frames, as above.
        rng: The source of randomness.
        num_templates: One initial, the rest dynamic.
        searched: Where the search frame shall lie; empty or left out, wherever the target is visible.
        far: Whether the initial template is one of the quarter of frames that are farthest from the search frame.
    """
    shown, usable = np.flatnonzero(visible), np.flatnonzero(dynamic)
    searchable = shown if searched is None or not len(searched) else searched
    for _ in range(MAX_DRAWS):
        template, search = _pick(shown, rng), _pick(searchable, rng)
        if far:
            order = np.argsort(-np.abs(shown - search), kind="stable")
            template = _pick(shown[order[: max(1, len(shown) // 4)]], rng)
        start = search if template >= search else search - max_gap
        near = usable[(usable >= start) & (usable < start + max_gap)]
        if len(near):
            return (template, *(_pick(near, rng) for _ in range(num_templates - 1))), search
    raise DatasetError(
        f"a video must have a frame for the dynamic template within {max_gap} frames of the search frame, "
        f"got none in {MAX_DRAWS} draws over {len(shown)} visible frames"
    )


def draw_negative(
    mixture: Mixture, home: tuple[int, int], config: SamplingConfig, rng: np.random.Generator
) -> FramePlace:
    """Return a search frame without the target: frames of its own video first, else another sequence.

    Convention: in a frame without a target the box to search around is `absent_box`. Nothing of the target
    shows in the chosen frame; another sequence never shares a video or picture with the target's
    (`VideoSequence.origins`), in whichever data set, for there the target may stand beside the other one. The
    authors' sampler allows both, and so labels some targets that can be seen as absent.

    Raises:
        NothingUsableError: There is no other video.
    """
    sequence = mixture.sequence(*home)
    absent = np.flatnonzero(sequence.is_absent)
    if len(absent):
        return FramePlace(*home, _pick(absent, rng))
    for _ in range(MAX_DRAWS):
        place, other = _draw_sequence(mixture, replace(config, min_length=1), 1, rng)
        if not other.origins & sequence.origins:
            return FramePlace(*place, _pick(np.flatnonzero(other.visible), rng))
    raise NothingUsableError(
        f"a negative sample must come from another video than {sequence.name!r}, got none in {MAX_DRAWS} "
        "draws; add sequences or set sampling.negative_share to 0"
    )


def has_box(sequence: VideoSequence) -> Bool[np.ndarray, " num_frames"]:
    """Return which frames have a box that can be cropped, whether or not the target is visible."""
    boxes = sequence.boxes_xywh
    return np.asarray(np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1))


def one_by_one(collection: SequenceCollection, rng: np.random.Generator) -> Iterator[int]:
    """Yield positions in random order, none twice: the last attempt after draws without a result.

    Convention: at most `MAX_SCANNED`, since a data set may have a million videos.
    """
    yield from rng.permutation(len(collection))[:MAX_SCANNED].tolist()


def _draw_sequence(
    mixture: Mixture, config: SamplingConfig, min_visible: int, rng: np.random.Generator
) -> tuple[tuple[int, int], VideoSequence]:
    ratios = np.asarray(mixture.ratios) / sum(mixture.ratios)
    which = int(rng.choice(len(ratios), p=ratios))
    collection = mixture.collections[which]
    for _ in range(MAX_DRAWS):
        index = int(rng.integers(len(collection)))
        sequence = mixture.sequence(which, index)
        if _is_eligible(sequence, config, min_visible):
            return (which, index), sequence
    for index in one_by_one(collection, rng):
        sequence = mixture.sequence(which, index)
        if _is_eligible(sequence, config, min_visible):
            return (which, index), sequence
    raise NothingUsableError(
        f"a data set must hold a visible image of at least {config.min_side:g} pixels, or a video of at least "
        f"{config.min_length} frames with the target visible in {min_visible}, got none in {MAX_DRAWS} draws "
        f"and {min(len(collection), MAX_SCANNED)} looked at one by one "
        f"from data set {which} of the mixture ({len(collection)} sequences, the last one drawn is "
        f"{sequence.name!r}); lower sampling.min_side or sampling.min_length"
    )


def _is_eligible(sequence: VideoSequence, config: SamplingConfig, min_visible: int) -> bool:
    if len(sequence) == 1:
        is_large = sequence.boxes_xywh[0, 2:].min() >= config.min_side
        return bool(sequence.visible[0] and is_large)
    return len(sequence) >= config.min_length and int(sequence.visible.sum()) >= min_visible


def _pick(values: Int[np.ndarray, " num_values"], rng: np.random.Generator) -> int:
    return int(values[rng.integers(len(values))])
