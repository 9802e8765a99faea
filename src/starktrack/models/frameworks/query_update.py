"""A target query that is updated over time instead of an extra template (Table 8: 64.8, STARK 66.4).

Source: section 4.5, Updating the query embedding; the next query is the decoder's output, as in TrackFormer. Here it is
the decoder's output on the dynamic template, which the tracker replaces by interval and score. So sampler, tracker and
inputs are those of STARK-ST. Only the path from the dynamic template to the search region differs.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from starktrack.models.features import Features
from starktrack.models.stark import Stark
from starktrack.models.transformer import Decoder


class QueryUpdateStark(Stark):
    """STARK-S with a query that follows the target.

    Of its templates, the query is updated from all but the initial one; there must be at least one such.
    """

    decoder: Decoder  # `ModelConfig` refuses this framework without a decoder

    def relate(
        self, templates: Features, search: Features
    ) -> tuple[Float[Tensor, "batch cells width"], Float[Tensor, "batch width"]]:
        """Return the search tokens encoded with the initial template, and the output of the updated query."""
        initial, *latest = templates.split(self.num_templates)
        query = self.decoder.learned_query(search)
        for view in latest:
            query, _ = self._ask(query, initial, view)
        embedding, encoded = self._ask(query, initial, search)
        return encoded, embedding[:, 0]

    def _ask(self, query: Tensor, initial: Features, view: Features) -> tuple[Tensor, Tensor]:
        """Return the decoder's output for a query on the initial template and a view, and the view's tokens."""
        length = view.tokens.shape[1]
        memory = self.encoder(Features.concatenate([initial, view]), length)
        return self.decoder.gather(torch.zeros_like(query), query, memory), memory.tokens[:, -length:]
