"""Ten queries, each with a box and a confidence, matched with the true box in training (Table 8: 63.7, STARK 66.4).

Source: section 4.5, Using the Hungarian algorithm. The matching is `training.matching`; in tracking the most
confident query answers.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from starktrack.models.features import Features
from starktrack.models.stark import Stark, StarkOutput
from starktrack.models.transformer import Decoder

NUM_QUERIES = 10
"""K of the paper."""


@dataclass(frozen=True)
class CandidatesOutput(StarkOutput):
    """The answer of the most confident query of each search region, and those of all.

    Attributes:
        candidates: `NUM_QUERIES` rows for each search region, one after the other; its score is the confidence.
    """

    candidates: StarkOutput


class HungarianStark(Stark):
    """STARK with a decoder of several queries; the score head says how confident each is."""

    decoder: Decoder  # `ModelConfig` refuses this framework without a decoder

    def locate(self, templates: Features, search: Features) -> CandidatesOutput:
        """Return the most confident answer and all of them."""
        num_search = search.tokens.shape[1]
        memory = self.encoder(Features.concatenate([templates, search]), num_search)
        embeddings = self.decoder(memory)
        count = embeddings.shape[1]
        encoded = memory.tokens[:, -num_search:].repeat_interleave(count, dim=0)
        candidates = self.read_out(
            templates.repeat(count), search.repeat(count), encoded, embeddings.flatten(0, 1)
        )
        best = candidates.scores.unflatten(0, (-1, count)).argmax(dim=1)
        return CandidatesOutput(**vars(candidates.rows(chosen_rows(best, count))), candidates=candidates)


def chosen_rows(query: Int[Tensor, " batch"], count: int) -> Int[Tensor, " batch"]:
    """Return the row, among `count` of each search region, of the query that was chosen there."""
    return torch.arange(len(query), device=query.device) * count + query
