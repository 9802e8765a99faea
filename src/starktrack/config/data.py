"""How training samples are chosen, cropped and varied; the defaults are those of the paper's runs."""

from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from starktrack.config.schema import STRICT, Count, PositiveInt

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
        min_length: Shorter videos are left out; single images never are.
        min_side: Targets in single images that are narrower or lower than this are left out, pixels. The authors
            wrote 50, but their sampler does not look at it for images, so 0 is what the published weights saw.
        negative_share: Share of samples whose search region does not hold the target; the paper's second
            stage has 0.5.

    Source: section 4.1 and the authors' configurations (200 frames, 20 frames).
    """

    mode: Literal["causal", "trident", "trident_pro"] = "causal"
    max_gap: PositiveInt = 200
    min_length: PositiveInt = 20
    min_side: Amount = 0.0
    negative_share: Probability = 0.0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class JitterConfig:
    """How far a crop is moved and scaled away from the true box, see `geometry.jitter`.

    Args:
        search_centre: Must be less than the search region's factor, or targets lie outside it; left out, it
            is 0.9 times that factor, which is the published 4.5 for 5.
        search_scale: Of the search region.
        search_concentration: Power of the uniform draw that moves the centre: 1 spreads targets evenly, as published; 2
            keeps most near the middle, where a tracker's targets are.
        template_centre: Of templates; must be less than their factor.
        template_scale: Of templates.

    Source: the authors' configurations (search 4.5 and 0.5, template 0 and 0).
    """

    search_centre: Amount | None = None
    search_scale: Amount = 0.5
    search_concentration: Annotated[float, Field(ge=1)] = 1.0
    template_centre: Amount = 0.0
    template_scale: Amount = 0.0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AugmentConfig:
    """How the look of a crop is varied. The first four are published; the rest help small data, and are off.

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


@dataclass(frozen=True, kw_only=True, config=STRICT)
class StagingConfig:
    """What else search regions of positive samples show.

    Ours, the paper has none; see `data.samples.distractors`.

    Args:
        target_copies: Probability of copies of the target beside it.
        most_target_copies: At most this many of them.
        distractors: Probability of another object, near the target or in front of half of it.
        same_class: Share of those that are of the class of the target, where data sets have classes (those in the
            forms of COCO and GOT-10k do).
        background_fill: Probability that a frame goes on as another picture where it ends, in a region that would
            be padding for a good part.
        warps: Probability that the search region is turned, sheared and bent, see `data.synthetic.warping`.
    """

    target_copies: Probability = 0.0
    most_target_copies: PositiveInt = 2
    distractors: Probability = 0.0
    same_class: Probability = 0.0
    background_fill: Probability = 0.0
    warps: Probability = 0.0

    @model_validator(mode="after")
    def _same_class_needs_distractors(self) -> "StagingConfig":
        if self.same_class and not self.distractors:
            raise ValueError(
                f"same_class is a share of distractors, got {self.same_class:g} and no distractors; set both"
            )
        return self

    @property
    def changes_anything(self) -> bool:
        """Whether anything is staged."""
        return bool(self.target_copies or self.distractors or self.background_fill or self.warps)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class LoaderConfig:
    """How samples reach the network.

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
    """All that turns sequences into batches, but for the data sets and the network's crop sizes."""

    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    jitter: JitterConfig = field(default_factory=JitterConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    staging: StagingConfig = field(default_factory=StagingConfig)
    loader: LoaderConfig = field(default_factory=LoaderConfig)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SyntheticConfig:
    """How video is made from still pictures; ours, the paper has none.

    Args:
        num_videos: How many different videos there are.
        num_frames: Frames of each.
        side: Longer side of a frame, pixels.
        smallest: Smallest target, square root of its area over that of the frame.
        largest: Largest target, in the same unit.
        max_distractors: At most this many recoloured copies of the target, and as many other things.
        same_class: Share of the other things, and of what passes in front, that are of the target's class.
        occlusion: Probability that something passes in front of the target.
        leaving: Probability that the target leaves the frame for a while.
        exposure: Longest time that the shutter is open, frames; longer is more motion blur.
        min_visible_share: The target counts as visible while this share of it can be seen, and as absent where
            nothing of it can; frames in between are neither searched nor taken for negatives.
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
