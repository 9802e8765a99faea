"""Parameters and arithmetic of each preset, counted by `engines.profile`; a list of them needs no PyTorch."""

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


COSTS = {
    "stark_s50": PresetCost(28_095_554, 12_261_507_072),
    "stark_st50": PresetCost(28_227_395, 13_010_518_272),
    "stark_st101": PresetCost(47_167_299, 20_586_479_872),
    "stark_lightning": PresetCost(2_349_986, 1_536_970_752),
    "stark_mobile": PresetCost(2_429_384, 800_269_824),
    "refine_r34": PresetCost(9_047_491, 4_773_666_816),
    "refine_mobile": PresetCost(754_403, 477_997_056),
}
