"""Functions that people call from Python take a path as text, as every library does."""

import inspect
from importlib import import_module

import pytest

import starktrack

OTHERS = {
    "data.check": ("check",),
    "data.sources": ("open_dataset",),
    "workflows.annotated_video": ("import_video",),
    "workflows.models": ("list_models",),
    "workflows.plot": ("plot",),
    "workflows.vot": ("run_vot",),
}
"""Of modules: what the pages use besides the names of `starktrack`."""

PUBLIC = {name: getattr(starktrack, name) for name in starktrack.__all__} | {
    name: getattr(import_module(f"starktrack.{module}"), name)
    for module, names in OTHERS.items()
    for name in names
}


@pytest.mark.parametrize("name", [name for name, each in PUBLIC.items() if inspect.isfunction(each)])
def test_a_path_may_be_a_text(name):
    for argument in inspect.signature(PUBLIC[name]).parameters.values():
        kind = str(argument.annotation)
        assert "Path" not in kind or "str" in kind.replace("pathlib", ""), f"{argument.name}: {kind}"


def test_a_data_set_is_opened_and_checked_at_a_path_given_as_text(tmp_path):
    from starktrack.data.check import check
    from starktrack.data.sources import open_dataset
    from starktrack.errors import DatasetError

    for look in (lambda: open_dataset("videos", str(tmp_path), "all"), lambda: check(str(tmp_path))):
        with pytest.raises(DatasetError, match=tmp_path.name):
            look()
