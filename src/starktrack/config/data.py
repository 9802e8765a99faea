"""How training samples are chosen, cropped and varied; the defaults are those of the paper's runs."""

from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from starktrack.config.network import STRICT, Count, PositiveInt

Probability = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]
Strength = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SamplingConfig:
    """Which frames make a training sample.

    Args:
        mode: `causal` (S and Lightning: template first, search later), `trident_pro` (ST: template and search
            anywhere, dynamic template near the search frame, the target may be hidden there) or `trident`
            (as trident_pro, but the target is visible in the dynamic template).
        max_gap: Frames between template and search (causal), or dynamic template and search (trident).
        min_length: Shorter videos are left out; single images are not.
        min_side: Targets in single images that are narrower or lower than this are left out, pixels. The authors'
            configuration has 50, but their sampler ignores it for images, so the published weights were trained with
            0.
        negative_share: Share of samples whose search region does not hold the target; the paper's second
            stage has 0.5.
        near_share: Of samples from videos with several targets (source `tracks`), the share whose search frame is one
            in which another target of the same class is near.
        near_distance: Largest distance between the middles of the two boxes, in square roots of the area of the
            target's box.
        neighbour_share: Of negative samples from such videos, the share whose search region lies around another target
            of the same video, in a frame in which the own one is labelled and lies outside that region.
        far_share: Share of samples whose initial template is one of the frames farthest from the search frame; in the
            two `trident` modes.
        mistakes: A file of frames in which a network lost its target, written by `scripts/mine.py`.
        mistake_share: Share of samples that search such a frame, around the place where the network went.

    The last six are not in the paper and off by default.

    Source: section 4.1 and the authors' configurations (200 frames, 20 frames).
    """

    mode: Literal["causal", "trident", "trident_pro"] = "causal"
    max_gap: PositiveInt = 200
    min_length: PositiveInt = 20
    min_side: Amount = 0.0
    negative_share: Probability = 0.0
    near_share: Probability = 0.0
    near_distance: Annotated[float, Field(gt=0)] = 2.0
    neighbour_share: Probability = 0.0
    far_share: Probability = 0.0
    mistakes: str = ""
    mistake_share: Probability = 0.0

    @model_validator(mode="after")
    def _shares_have_what_they_are_of(self) -> "SamplingConfig":
        if bool(self.mistakes) != bool(self.mistake_share):
            raise ValueError(
                f"mistakes and mistake_share must be set together, got {self.mistakes!r} and "
                f"{self.mistake_share:g}; set both or neither"
            )
        if self.neighbour_share and not self.negative_share:
            raise ValueError(
                f"neighbour_share is a share of negatives, got {self.neighbour_share:g} and no negatives; set "
                "negative_share"
            )
        if self.far_share and self.mode == "causal":
            raise ValueError(
                f"far_share must be 0 in mode causal, whose max_gap bounds the distance, got {self.far_share:g}; "
                "raise max_gap"
            )
        return self


@dataclass(frozen=True, kw_only=True, config=STRICT)
class JitterConfig:
    """How far a crop is moved and scaled away from the true box, see `geometry.jitter`.

    Args:
        search_centre: Must be less than the search region's factor, or targets lie outside it; left out, it
            is 0.9 times that factor, which is the published 4.5 for 5.
        search_scale: Of the search region.
        search_concentration: Power of the uniform draw that moves the centre: 1 spreads targets evenly, as
            published; 2 puts most of them near the middle, where a tracker's targets are.
        motion_share: Share of search regions around the true box of a frame close by, as in tracking, in place of a
            random box. So displacements are real: mostly small, sometimes large. Still pictures have no such frames.
        motion_gap: Largest distance to that frame, in frames.
        template_centre: Of templates; must be less than their factor.
        template_scale: Of templates.
        dynamic_centre: Of dynamic templates, whose boxes are a tracker's own; left out, as of all templates.
        dynamic_scale: Of dynamic templates; left out, as of all templates.
        drift_share: Share of dynamic templates that show what a tracker may have drifted to: another target that is
            labelled near, or else what lies beside the target.
        initial_share: Share of samples whose dynamic templates are the initial one, pixel for pixel, as before a
            tracker's first update. `drift_share` is of the others.

    The last four need at least two templates.

    Source: the authors' configurations (search 4.5 and 0.5, template 0 and 0).
    """

    search_centre: Amount | None = None
    search_scale: Amount = 0.5
    search_concentration: Annotated[float, Field(ge=1)] = 1.0
    motion_share: Probability = 0.0
    motion_gap: PositiveInt = 4
    template_centre: Amount = 0.0
    template_scale: Amount = 0.0
    dynamic_centre: Amount | None = None
    dynamic_scale: Amount | None = None
    drift_share: Probability = 0.0
    initial_share: Probability = 0.0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AugmentConfig:
    """How crops are augmented. The first four are published; the others help small data sets and are off by default.

    Args:
        grayscale: Probability that all crops of a sample lose their colour.
        joint_flip: Probability that all crops of a sample are mirrored.
        flip: Probability that one crop is mirrored.
        brightness: Each crop times U(1 - brightness, 1 + brightness).
        contrast: Each crop's distance from mid-grey times U(1 - contrast, 1 + contrast).
        saturation: Each crop's distance from its grey times U(1 - saturation, 1 + saturation).
        gain: Each colour channel times U(1 - gain, 1 + gain).
        blur: Probability of a Gaussian blur, deviation U(0.5, 2) crop pixels.
        noise: Probability of Gaussian noise, deviation U(0, 0.06) of the range.
        search_occlusion: Probability that part of the target in the search region is painted over.
        template_occlusion: The same for each template.
        small: Probability that all crops are downsampled until the target has 8 to 20 pixels, and enlarged again.
        compression: Probability that all crops are compressed as JPEG, at that size.
        motion_blur: Probability that one crop is blurred along a line.

    Source: the authors' configurations (0.05, 0.5, 0.5, 0.2).
    """

    grayscale: Probability = 0.05
    joint_flip: Probability = 0.5
    flip: Probability = 0.5
    brightness: Strength = 0.2
    contrast: Strength = 0.0
    saturation: Strength = 0.0
    gain: Strength = 0.0
    blur: Probability = 0.0
    noise: Probability = 0.0
    search_occlusion: Probability = 0.0
    template_occlusion: Probability = 0.0
    small: Probability = 0.0
    compression: Probability = 0.0
    motion_blur: Probability = 0.0

    @property
    def degrades(self) -> bool:
        """Whether frames are degraded before crops are cut, see `data.samples.degradation`."""
        return bool(self.small or self.compression or self.motion_blur)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DistractorConfig:
    """Other content of the search regions of positive samples; not in the paper, see `data.samples.distractors`.

    Args:
        target_copies: Probability of copies of the target beside it.
        most_target_copies: Most copies in one region.
        distractors: Probability of another object, near the target or in front of half of it.
        same_class: Share of these objects that have the target's class, in data sets with classes (the formats of
            COCO and GOT-10k).
        background_fill: Probability that another picture replaces the padding, in a region with much padding.
        warps: Probability that the search region is turned, sheared and bent, see `data.synthetic.warping`.
    """

    target_copies: Probability = 0.0
    most_target_copies: PositiveInt = 2
    distractors: Probability = 0.0
    same_class: Probability = 0.0
    background_fill: Probability = 0.0
    warps: Probability = 0.0

    @model_validator(mode="after")
    def _same_class_needs_distractors(self) -> "DistractorConfig":
        if self.same_class and not self.distractors:
            raise ValueError(
                f"same_class is a share of distractors, got {self.same_class:g} and no distractors; set both"
            )
        return self

    @property
    def changes_anything(self) -> bool:
        """Whether any of these is on."""
        return bool(self.target_copies or self.distractors or self.background_fill or self.warps)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class LoaderConfig:
    """Settings of the data loader.

    Args:
        num_workers: Processes that read and decode; 0 reads in the training process.
        crop_in: `worker` cuts crops where frames are decoded, `device` where the network runs. Both give the
            same numbers; `auto` is the device on a GPU and the workers on a CPU.
        prefetch: Batches each worker keeps ready.
    """

    num_workers: Count = 2
    crop_in: Literal["auto", "worker", "device"] = "auto"
    prefetch: PositiveInt = 2


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DataConfig:
    """All settings between sequences and batches, except the data sets and the network's crop sizes."""

    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    jitter: JitterConfig = field(default_factory=JitterConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    distractors: DistractorConfig = field(default_factory=DistractorConfig)
    loader: LoaderConfig = field(default_factory=LoaderConfig)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SyntheticConfig:
    """How video is made from still pictures; not in the paper.

    Args:
        num_videos: Number of different videos.
        num_frames: Frames of each.
        side: Longer side of a frame, pixels.
        smallest: Smallest target, square root of its area over that of the frame.
        largest: Largest target, in the same unit.
        max_distractors: Most recoloured copies of the target, and most other objects.
        same_class: Share of the other objects, and of occluders, that have the target's class.
        occlusion: Probability that an object passes in front of the target.
        leaving: Probability that the target leaves the frame for a while.
        exposure: Longest time that the shutter is open, frames; longer is more motion blur.
        min_visible_share: The target counts as visible in frames that show at least this share of it, and as absent
            in frames that show none of it; frames in between are neither positive nor negative samples.
    """

    num_videos: PositiveInt = 1_000_000
    num_frames: PositiveInt = 60
    side: PositiveInt = 320
    smallest: Annotated[float, Field(gt=0)] = 0.08
    largest: Annotated[float, Field(gt=0)] = 0.4
    max_distractors: Count = 2
    same_class: Probability = 0.0
    occlusion: Probability = 0.5
    leaving: Probability = 0.25
    exposure: Amount = 0.6
    min_visible_share: Annotated[float, Field(gt=0, le=1)] = 0.25

    @model_validator(mode="after")
    def _sizes_fit(self) -> "SyntheticConfig":
        if self.smallest > self.largest:
            raise ValueError(
                f"smallest must be at most largest, got {self.smallest:g} and {self.largest:g}; swap them"
            )
        return self
