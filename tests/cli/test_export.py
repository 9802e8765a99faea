import shutil

import pytest
import typer
from tests.small_networks import REFINER, TRACKER, sharp_refiner, sharp_tracker
from typer.testing import CliRunner

import starktrack
from starktrack.api import load_refiner
from starktrack.cli.export import export
from starktrack.config.presets import PRESETS
from starktrack.engines import export as engines_export
from starktrack.engines.exported import ExportedEngine
from starktrack.engines.parity import compare
from starktrack.errors import CheckpointError, ConfigError, InputError
from starktrack.kinds.tracker import TrackerKind
from starktrack.models.weights import save_weights

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(export)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def writes(monkeypatch):
    """Return the function that lets the next export write a file that is there, which takes a second, not twenty.

    Whether it holds the network that is exported is checked all the same, by the export itself.
    """
    return lambda file: monkeypatch.setattr(
        engines_export, "_write", lambda network, config, partial: shutil.copy(file, partial)
    )


def test_a_preset_becomes_a_file_that_can_be_loaded(tmp_path, exported, writes, monkeypatch):
    writes(exported)
    monkeypatch.setitem(PRESETS, "stark_lightning", lambda: TRACKER)
    monkeypatch.setattr(TrackerKind, "build", lambda *_, **__: sharp_tracker(0))
    result = run("stark_lightning", tmp_path / "lightning.onnx", "--format", "onnx")
    assert result.exit_code == 0, result.output
    assert "stark_lightning is tiny with RANDOM weights, which find nothing: wrote" in result.output
    engine = starktrack.load(weights=tmp_path / "lightning.onnx").engine
    assert isinstance(engine, ExportedEngine)


def test_a_preset_with_weights_in_the_package_is_exported_with_them(tmp_path):
    result = run("stark_mobile", tmp_path / "mobile.onnx")
    assert "stark_mobile is stark_mobile with the weights of the package: wrote" in result.output
    again, pretrained = (
        starktrack.load(weights=file).engine for file in (tmp_path / "mobile.onnx", "stark_mobile")
    )
    assert compare(pretrained, again).corner_difference < 1e-6


@pytest.mark.parametrize("form", ["name", "file"])
def test_a_refiner_is_exported_by_name_and_by_file(form, tmp_path, exported_refiner, writes):
    source, name = "refine_mobile", "refine_mobile with the weights of the package"
    if form == "file":
        source, name = tmp_path / "small.safetensors", "small"
        save_weights(source, sharp_refiner(0).state_dict(), REFINER)
        writes(exported_refiner)
    result = run(source, tmp_path / "refiner.onnx")
    assert result.exit_code == 0, result.output
    assert f"is {name}: wrote" in result.output and "probabilities of the outline within" in result.output
    refiners = (
        load_refiner(tmp_path / "refiner.onnx"),
        load_refiner(source, engine="torch", device="cpu"),
    )
    assert compare(*refiners).holds


def test_a_target_of_another_kind_is_refused(tmp_path):
    error = run("stark_lightning", tmp_path / "lightning.safetensors").exception
    assert isinstance(error, InputError) and "must end in .onnx, got 'lightning.safetensors'" in str(error)


@pytest.mark.parametrize(
    ("source", "kind", "text"),
    [
        ("stark_lightening", ConfigError, "did you mean 'stark_lightning'?"),
        ("refine_mobil", ConfigError, "did you mean 'refine_mobile'?"),
        ("none.safetensors", CheckpointError, "none.safetensors is no such file"),
        ("small.onnx", InputError, "small.onnx is exported already; give the .safetensors"),
    ],
)
def test_a_source_that_cannot_be_exported_is_named(source, kind, text, tmp_path):
    error = run(source, tmp_path / "out.onnx").exception
    assert isinstance(error, kind) and text in str(error)


@pytest.mark.parametrize("success", [None, (70.0, 69.5)])
def test_clips_without_annotations_bring_a_warning(starktrack, tmp_path, monkeypatch, success):
    from starktrack.workflows.reduced_export import ClipCheck, TrackingCheck

    def write(source, target, precision, calibrate, *, on_clip):
        target.write_bytes(b"network")
        return TrackingCheck((ClipCheck("dog.mp4", 10, 0.95, success),))

    monkeypatch.setattr("starktrack.workflows.export.export_with_fewer_bits", write)
    out = tmp_path / "x.onnx"
    done = starktrack("export", "stark_mobile", out, "--precision", "int8", "--calibrate", "dog.mp4")
    assert done.code == 0 and f"wrote {out}" in done.out
    assert ("warning: no clip of --calibrate is annotated" in done.err) == (success is None)
