"""The configuration of a training run: network, data sets, stages, optimiser; the defaults are the paper's."""

from collections.abc import Iterator
from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from starktrack.config.data import DataConfig, SyntheticConfig
from starktrack.config.network import STRICT, Count, PositiveInt
from starktrack.config.schema import Config

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DatasetConfig:
    """One data set of a run.

    Args:
        source: Kind of data set (a key of `data.sources.SOURCES`), or `synthetic`: objects of one data set
            moving over pictures of another.
        split: Which part of it.
        root: Folder below the data root; empty for the root itself.
        ratio: Share of the samples, relative to the other data sets.
        only: Patterns of sequence names (`otb_*`); others are left out. Empty takes all.
        exclude: Patterns of sequence names that are left out, kept for validation say.
        allow_missing: Take the sequences that are there, instead of refusing an incomplete data set.
        outlined: Take only sequences whose target has an outline (masks, polygons).
        parts: Take a part of each target in place of the whole, see `data.parts`; for still pictures.
        objects: For `synthetic`: name of the run's data set that objects are cut from.
        backgrounds: For `synthetic`: name of the run's data set whose pictures they are laid on.
        synthetic: For `synthetic`: what happens in a video.
    """

    source: str
    split: str = "train"
    root: str = ""
    ratio: Positive = 1.0
    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    allow_missing: bool = False
    outlined: bool = False
    parts: bool = False
    objects: str = ""
    backgrounds: str = ""
    synthetic: SyntheticConfig = field(default_factory=SyntheticConfig)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class LossConfig:
    """Weights of the loss terms.

    Args:
        giou: Weight of 1 - generalised overlap.
        l1: Weight of the mean distance of the box edges, crop units.
        corner: Weight of the cross-entropy of the corner maps; not published, helps short runs.
        centre: Weight of all terms of the centre maps: heat, overlap and distance at the true centre. Must be above
            0 for the box heads `centre` and `guided`; any other head with maps is then trained with an auxiliary
            centre head, which the saved weights lack, so that its features learn sooner; not published.
        others: How many times the heat at the boxes of other targets in the search region counts, those of its video
            (source `tracks`) and those that `data.distractors` inserts; 1 as much as the rest. Ours, not published.
        mask: Weight of a refiner's cross-entropy of the outline, mean over cells; trackers have none.

    Source: section 3.1 equation 1, section 4.1 (2 and 5).
    """

    giou: NonNegative = 2.0
    l1: NonNegative = 5.0
    corner: NonNegative = 0.0
    centre: NonNegative = 0.0
    others: Annotated[float, Field(ge=1)] = 1.0
    mask: NonNegative = 0.0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class OptimConfig:
    """AdamW and how its learning rate moves.

    Args:
        lr: Learning rate of all but the backbone.
        backbone_lr: Learning rate of the backbone.
        clip_norm: Largest norm of the gradient; 0 leaves it alone.
        schedule: `step` multiplies by `drop_factor` from epoch `drop_epoch` on; `cosine` falls to
            `drop_factor` over the stage.
        drop_epoch: Epochs before the drop.
        warmup_steps: Optimiser steps over which the rate rises from nothing.
        ema_decay: Share of the averaged weights that each step keeps (less at the start, see
            `training.optim`); 0 keeps no average. Where there is one, it is what is validated and saved.

    Source: section 4.1 and the authors' configurations.
    """

    lr: Positive = 1e-4
    backbone_lr: Positive = 1e-5
    weight_decay: NonNegative = 1e-4
    clip_norm: NonNegative = 0.1
    schedule: Literal["step", "cosine"] = "step"
    drop_epoch: PositiveInt = 400
    drop_factor: Share = 0.1
    warmup_steps: Count = 0
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class StageConfig:
    """One stage of a run.

    Args:
        epochs: How often `samples_per_epoch` samples are seen.
        trains: `box` everything but the score head, with the box losses; `score` the score head alone, all
            else frozen and in eval mode, with binary cross-entropy; `joint` everything, with both (Table 8).
        frozen_stride: The backbone is frozen up to its stage of this stride; 4 is ResNet's stem and layer1.
        resolution: Side of the crops over that of the network, which sees the same regions with fewer pixels then;
            the weights are the same. A first part at 0.75 costs about half as much.
        validate_every: Epochs between validations in this stage, 0 for none; left out, `validation.every`.

    Source: section 3.2, Training; section 4.1 (500 and 50 epochs).
    """

    epochs: PositiveInt = 500
    trains: Literal["box", "score", "joint"] = "box"
    frozen_stride: Count = 4
    resolution: Annotated[float, Field(ge=0.25, le=1)] = 1.0
    validate_every: Count | None = None
    data: DataConfig = field(default_factory=DataConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)

    @model_validator(mode="after")
    def _boxes_need_targets(self) -> "StageConfig":
        share = self.data.sampling.negative_share
        if self.trains == "box" and share > 0:
            raise ValueError(
                f"data.sampling.negative_share must be 0 where trains = 'box', got {share}; a search region "
                "without the target has no box"
            )
        return self


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DistillationConfig:
    """Learning from a larger network as well as from the labels.

    Args:
        teacher: A weights file written by starktrack; empty for no teacher.
        kl: Weight of the divergence between the corner distributions.
        l1: Weight of the distance to the teacher's box edges.

    Source: the authors' STARK-Lightning (5 and 0).
    """

    teacher: str = ""
    kl: NonNegative = 5.0
    l1: NonNegative = 0.0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ValidationConfig:
    """Tracking of real sequences between epochs.

    Args:
        every: Epochs between validations, and one at the end of each stage; 0 never validates.
        max_sequences: At most this many sequences of each data set, spread evenly; 0 takes all.
        max_frames: At most this many frames of each sequence; 0 takes all.
    """

    datasets: dict[str, DatasetConfig] = field(default_factory=dict)
    every: Count = 20
    max_sequences: Count = 0
    max_frames: Count = 0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RunConfig:
    """Settings of the run; only `batch_size`, `micro_batch`, `samples_per_epoch`, `precision` and `seed` affect the
    weights.

    Args:
        batch_size: Samples per optimiser step, over all processes.
        micro_batch: Samples per pass through the network. Batch norm sees a micro-batch at a time, so
            results do not depend on how many processes share the batch. The authors had 16 on each GPU.
        compile: Use `torch.compile` on the network.
        channels_last: Memory layout of pictures; faster for convolutions.
        log_every: Optimiser steps between lines of the metrics log.
        picture_every: Epochs between pictures of crops with boxes; 0 draws none.
        checkpoint_every: Optimiser steps between checkpoints within an epoch; 0 has only those at its end.
        keep: Checkpoints kept, newest first.
        max_corrupt: Share of unreadable samples, of the latest 10,000, above which the run stops.
        tensorboard: Write TensorBoard files too.
        backbone_weights: Local file the backbone starts from; empty for timm's own download where
            `imagenet` is set.
        imagenet: Start the backbone from ImageNet weights through timm.
    """

    batch_size: PositiveInt = 128
    micro_batch: PositiveInt = 16
    samples_per_epoch: PositiveInt = 60_000
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    seed: Count = 42
    compile: bool = False
    channels_last: bool = True
    log_every: PositiveInt = 50
    picture_every: Count = 1
    checkpoint_every: Count = 0
    keep: PositiveInt = 2
    max_corrupt: Share = 0.01
    tensorboard: bool = False
    backbone_weights: str = ""
    imagenet: bool = True

    @model_validator(mode="after")
    def _micro_batches_fill_the_batch(self) -> "RunConfig":
        if self.batch_size % self.micro_batch:
            raise ValueError(
                f"batch_size must be a multiple of micro_batch={self.micro_batch}, got {self.batch_size}; "
                f"use {max(1, self.batch_size // self.micro_batch) * self.micro_batch}"
            )
        if self.samples_per_epoch < self.batch_size:
            raise ValueError(
                f"samples_per_epoch must be at least batch_size={self.batch_size}, "
                f"got {self.samples_per_epoch}"
            )
        return self

    @property
    def steps_per_epoch(self) -> int:
        """Return the optimiser steps of one epoch; an incomplete last batch is dropped."""
        return self.samples_per_epoch // self.batch_size


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Recipe:
    """A whole run.

    Args:
        config: The network, stored with the weights; the kind of its model decides which losses there are.
        datasets: The training data, by names of your choice.
        stages: The stages, by name, in the order in which they are run.
    """

    config: Config
    datasets: dict[str, DatasetConfig]
    stages: dict[str, StageConfig]
    run: RunConfig = field(default_factory=RunConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    distillation: DistillationConfig = field(default_factory=DistillationConfig)

    @model_validator(mode="after")
    def _stages_fit_the_network(self) -> "Recipe":
        self._check_data()
        self.config.model.check_recipe(self)
        return self

    def _check_data(self) -> None:
        if not self.datasets or not self.stages:
            raise ValueError("a recipe must have at least one of [datasets.NAME] and one of [stages.NAME]")
        real = [name for name, dataset in self.datasets.items() if dataset.source != "synthetic"]
        for name, dataset in self.datasets.items():
            if dataset.source == "synthetic" and not {dataset.objects, dataset.backgrounds} <= set(real):
                raise ValueError(
                    f"datasets.{name} must take objects and backgrounds from {real}, got {dataset.objects!r} "
                    f"and {dataset.backgrounds!r}"
                )
            if dataset.parts and (dataset.source == "synthetic" or dataset.outlined):
                raise ValueError(
                    f"datasets.{name}.parts must be false for synthetic video and with outlined = true (parts have "
                    "no outline), got true"
                )

    @model_validator(mode="after")
    def _synthetic_videos_are_long_enough(self) -> "Recipe":
        shortest = max(stage.data.sampling.min_length for stage in self.stages.values())
        for name, dataset in self.datasets.items():
            if dataset.source == "synthetic" and dataset.synthetic.num_frames < shortest:
                raise ValueError(
                    f"datasets.{name}.synthetic.num_frames must be at least data.sampling.min_length={shortest} "
                    f"of every stage, or no such video is used, got {dataset.synthetic.num_frames}"
                )
        return self

    @property
    def validates(self) -> bool:
        """Return whether any stage is validated."""
        wanted = (self.validation.every, *(stage.validate_every for stage in self.stages.values()))
        return bool(self.validation.datasets) and any(wanted)

    @property
    def has_auxiliary_head(self) -> bool:
        """Whether a centre head is trained beside the box head and dropped at the end."""
        centre = any(stage.loss.centre > 0 for stage in self.stages.values())
        return centre and not self.config.model.box_head.has_centre_maps

    def stage_starts(self) -> Iterator[tuple[int, str, StageConfig]]:
        """Yield each stage with the epochs that came before it."""
        start = 0
        for name, stage in self.stages.items():
            yield start, name, stage
            start += stage.epochs
