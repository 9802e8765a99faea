"""The base class of the records of kinds."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from starktrack.config.network import NetworkConfig
from starktrack.config.schema import Config

if TYPE_CHECKING:
    from torch import Tensor, nn

    from starktrack.config.training import Recipe, StageConfig
    from starktrack.data.samples.batch import Batch
    from starktrack.training.losses import LossTerms

Part = Literal["crops", "masks", "boxes"]


@dataclass(frozen=True)
class Graph:
    """The names in an exported network: one graph of two halves that share the backbone's weights.

    Template crops become what is kept of a target; search crops become answers, given what is kept. A call feeds
    one half, and a batch of none to the other.

    Attributes:
        template_inputs: What each input of the template half gets: `crops` (uint8), padding `masks` (True outside
            the image) or `boxes` (cxcywh in crop units).
        template_outputs: What is kept of a template.
        search_inputs: What each input of the search half gets: `crops`, `masks`, or the name of a template output:
            that of all templates of a target, joined along its first axis.
        outputs: The answer.
    """

    template_inputs: Mapping[str, Part]
    template_outputs: tuple[str, ...]
    search_inputs: Mapping[str, str]
    outputs: tuple[str, ...]


class Kind(ABC):
    """A kind of network. It has no state: the settings, the network and its tensors come as arguments.

    Methods whose signatures name tensors import PyTorch when they are called; the others need none. Every kind writes
    its signatures out again with types of its own, so that checkers hold it to this class.

    Attributes:
        model: The kind's settings.
        graph: The names in its exported form.
        probability_name: What `probabilities` are, in the message of an export.
        heads: Parts of the network that compute in full precision where the rest has fewer bits.
        table_title: Title of the table of its presets (`starktrack models`).
    """

    model: ClassVar[type[NetworkConfig]]
    graph: ClassVar[Graph]
    probability_name: ClassVar[str]
    heads: ClassVar[tuple[str, ...]] = ()
    table_title: ClassVar[str] = ""

    def table_columns(self, model: Any, *, has_weights: bool) -> dict[str, str]:
        """Return what a table of presets shows of these settings: the text by the heading of its column."""
        return {}

    def outputs(self, model: NetworkConfig) -> tuple[str, ...]:
        """Return the outputs of the graph's search half that a network with these settings has."""
        return self.graph.outputs

    @abstractmethod
    def answer(self, *outputs: np.ndarray) -> Any:
        """Return the record that an engine gives for the values of `outputs`; it has `boxes_cxcywh`."""

    @abstractmethod
    def probabilities(self, answer: Any) -> np.ndarray | None:
        """Return the probabilities in an answer, which the parity check compares; None where there are none."""

    @abstractmethod
    def build(
        self,
        model: Any,
        *,
        imagenet: bool = False,
        backbone_weights: Path | None = None,
        auxiliary_head: bool = False,
    ) -> "nn.Module":
        """Return the network in train mode; arguments and errors as `models.build.build_network`."""

    @abstractmethod
    def forward(self, network: "nn.Module", batch: "Batch") -> Any:
        """Return the network's output for a training batch."""

    @abstractmethod
    def loss(
        self,
        network: "nn.Module",
        batch: "Batch",
        recipe: "Recipe",
        stage: "StageConfig",
        teacher: "nn.Module | None" = None,
    ) -> "LossTerms":
        """Return the loss of a training batch in a stage of a recipe."""

    def trained_config(self, config: Config, trained: Collection[str]) -> Config:
        """Return the configuration to store with weights, given what the stages so far trained (`trains`)."""
        return config

    @abstractmethod
    def embed(
        self, network: "nn.Module", crops: "Tensor", masks: "Tensor | None", boxes_cxcywh: "Tensor | None"
    ) -> Any:
        """Return what the network keeps of normalised template crops, a batch.

        Args:
            masks: True outside the image; None where nothing is.
            boxes_cxcywh: The target in each crop, crop units; None where the graph takes no boxes.
        """

    @abstractmethod
    def locate(self, network: "nn.Module", kept: Any, crops: "Tensor", masks: "Tensor | None") -> Any:
        """Return the network's output for normalised search crops, given what is kept of each target."""

    @abstractmethod
    def values(self, output: Any) -> "tuple[Tensor, ...]":
        """Return an output of `locate` as the tensors of the graph's outputs."""

    # By default a network keeps one tensor of a target, with a row for each template.

    def tensors(self, kept: Any) -> "tuple[Tensor, ...]":
        """Return what is kept as the tensors of the graph's template outputs."""
        return (kept,)

    def kept(self, *tensors: "Tensor") -> Any:
        """Return what is kept from such tensors; the inverse of `tensors`."""
        return tensors[0]

    def rows(self, kept: Any) -> list[Any]:
        """Return the kept features of each template separately."""
        return list(kept.split(1))

    def stack(self, templates: Sequence[Sequence[Any]]) -> Any:
        """Return what is kept of several targets as one batch, each with its templates joined."""
        import torch

        return torch.cat([torch.cat(list(each), dim=1) for each in templates])
