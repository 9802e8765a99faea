"""Parameters and arithmetic of networks, and of each preset; a list of them needs no PyTorch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PresetCost:
    """Size of a network.

    Attributes:
        parameters: Of the whole network.
        frame_macs: Multiply-accumulates of one frame, templates known.
    """

    parameters: int
    frame_macs: int


@dataclass(frozen=True)
class Cost:
    """Size and work of a network in the form in which it tracks.

    Attributes:
        parameters: Trainable numbers, before RepVGG blocks are folded.
        frame_macs: Multiply-accumulates of one frame, all layers.
        paper_macs: The same without multi-head attention, as the paper counts.
        template_macs: Multiply-accumulates of one template, paid when it is taken.
    """

    parameters: int
    frame_macs: int
    paper_macs: int
    template_macs: int


@dataclass(frozen=True)
class Latency:
    """Milliseconds per frame of one stage: median, and the quartiles as its spread."""

    median_ms: float
    lower_quartile_ms: float
    upper_quartile_ms: float


COSTS = {
    "stark_s50": PresetCost(28_095_554, 12_261_507_072),
    "stark_st50": PresetCost(28_227_395, 13_010_518_272),
    "stark_st101": PresetCost(47_167_299, 20_586_479_872),
    "stark_lightning": PresetCost(2_349_986, 1_536_970_752),
    "stark_mobile": PresetCost(2_429_384, 800_269_824),
    "refine_r34": PresetCost(9_047_491, 4_773_666_816),
    "refine_mobile": PresetCost(754_403, 477_997_056),
}
