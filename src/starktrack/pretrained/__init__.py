"""The trained weights that come with the package: `stark_mobile` and the refiner `refine_mobile`, each as a
checkpoint and as an exported network.

The `.md` beside each is its model card: data, recipe, numbers, limits, licences.
"""

from pathlib import Path

DEFAULT = "stark_mobile"
"""The default preset for tracking."""

_FOLDER = Path(__file__).parent
_SUFFIX = {"torch": ".safetensors", "onnx": ".onnx", "openvino": ".onnx"}


def pretrained_weights(model: str, engine: str) -> Path | None:
    """Return the file of a preset's trained weights for an engine of this package, None if there are none."""
    file = _FOLDER / f"{model}{_SUFFIX[engine]}"
    return file if file.is_file() else None


def model_card(model: str) -> str | None:
    """Return the model card of a preset's pretrained weights (Markdown), None if there are none."""
    card = _FOLDER / f"{model}.md"
    return card.read_text(encoding="utf-8") if card.is_file() else None
