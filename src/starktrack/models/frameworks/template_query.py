"""Template features as the decoder's queries (Table 8: 61.2, STARK 66.4).

Source: section 4.5, Template images serve as the queries. A shared encoder processes templates and search region
separately, so no information flows from the template to the search region before the decoder. The paper does not say
how the 64 outputs become the one embedding that the heads need; here it is their mean.
"""

from jaxtyping import Float
from torch import Tensor

from starktrack.models.features import Features, attention_bias
from starktrack.models.stark import Stark
from starktrack.models.transformer import Decoder


class TemplateQueryStark(Stark):
    """STARK with the template tokens as the decoder's queries; it has no learned query."""

    decoder: Decoder  # `ModelConfig` refuses this framework without a decoder

    def relate(
        self, templates: Features, search: Features
    ) -> tuple[Float[Tensor, "batch cells width"], Float[Tensor, "batch width"]]:
        """Return the search tokens, encoded without the templates, and the mean of the decoder's outputs."""
        asking = self.encoder(templates, templates.tokens.shape[1])
        memory = self.encoder(search, search.tokens.shape[1])
        bias = attention_bias(asking.padding_mask)
        gathered = self.decoder.gather(asking.tokens, asking.position, memory, bias)
        return memory.tokens, _mean_inside(gathered, asking)


def _mean_inside(gathered: Tensor, asking: Features) -> Float[Tensor, "batch width"]:
    """Return the mean over tokens that are not padding; over all where everything is."""
    if asking.padding_mask is None:
        return gathered.mean(dim=1)
    padding = asking.padding_mask & ~asking.padding_mask.all(dim=1, keepdim=True)
    inside = (~padding)[..., None].to(gathered.dtype)
    return (gathered * inside).sum(dim=1) / inside.sum(dim=1)
