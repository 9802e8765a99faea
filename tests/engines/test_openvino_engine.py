import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from tests.engines.test_onnx_engine import assert_alone_as_together

import starktrack
from starktrack.api import load_engine, load_refiner
from starktrack.data.frames import open_frames
from starktrack.data.synthetic.clip import synthetic_clip
from starktrack.engines import openvino_models as models
from starktrack.engines.exported import halves
from starktrack.engines.onnx_engine import OnnxEngine
from starktrack.engines.parity import compare
from starktrack.errors import CheckpointError, ConfigError, DeviceError, MissingExtraError
from starktrack.geometry.boxes import overlap, xywh_to_xyxy
from starktrack.pretrained import pretrained_weights
from starktrack.tracking.protocol import BoxQueries, Engine, HasRuntime, Refiner

pytest.importorskip("openvino")
from starktrack.engines.openvino_engine import OpenVinoEngine, open_openvino

DEMO = Path(starktrack.__file__).parent / "data" / "demo" / "helicopter.mp4"
TRACKER = pretrained_weights("stark_mobile", "onnx")
REFINER = pretrained_weights("refine_mobile", "onnx")


@pytest.fixture(scope="module")
def engine():
    return open_openvino(TRACKER)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "starktrack" / "openvino"


@pytest.fixture
def unknown_processor(monkeypatch):
    """Let the next question for the processor be the first, and the next one after the test too."""
    models.processor.cache_clear()
    yield monkeypatch
    models.processor.cache_clear()


def test_it_is_an_engine_and_says_what_runs_it(engine):
    assert isinstance(engine, Engine) and isinstance(engine, HasRuntime)
    assert str(engine.runtime) == "openvino, float32, cpu"
    assert isinstance(open_openvino(REFINER), Refiner)


@pytest.mark.parametrize(
    ("load", "name"),
    [(load_engine, "stark_mobile"), (load_refiner, "refine_mobile")],
    ids=["tracker", "refiner"],
)
def test_it_answers_as_onnx_runtime_within_rounding(load, name):
    first, second = (load(name, engine=engine, device="cpu") for engine in ("onnx", "openvino"))
    assert isinstance(first, OnnxEngine) and isinstance(second, OpenVinoEngine)
    parity = compare(first, second)
    assert parity.num_crops == 12
    assert parity.corner_difference < 2e-6 and parity.probability_difference < 1e-5


def test_the_demo_is_tracked_as_on_onnx_runtime():
    box = (450, 166, 40, 22)
    found = []
    for engine in ("onnx", "openvino"):
        frames = islice(starktrack.track(DEMO, box, engine=engine), 20)
        found.append(np.stack([tracked.output.box_xywh for tracked in frames]))
    # Rounding adds up from crop to crop: a hundredth of a pixel in all.
    assert np.abs(found[0] - found[1]).max() < 0.01


def test_answers_do_not_depend_on_how_targets_are_grouped(engine):
    clip = list(synthetic_clip(3, seed=3))
    images, boxes = [frame.image for frame in clip], np.stack([frame.box_xywh for frame in clip])
    boxes[2, :2] = -30
    assert_alone_as_together(engine, images, boxes)


def test_three_models_serve_every_number_of_targets(monkeypatch):
    made = []
    original = models.compiled

    def spy(*arguments):
        made.append(arguments[2:4])
        return original(*arguments)

    monkeypatch.setattr("starktrack.engines.openvino_engine.compiled", spy)
    engine = open_openvino(REFINER)
    template, search = halves(engine.config)
    frame = next(synthetic_clip(1))
    for count in (1, 4, 2, 7, 1):
        queries = BoxQueries([frame.image], np.zeros(count, np.int64), np.stack([frame.box_xywh] * count))
        answer = engine.predict(queries, [[each] for each in engine.embed(queries)])
        assert len(answer.boxes_cxcywh) == count
    assert made == [(template, None), (search, 1), (search, None)]


def outputs_of(path):
    engine = open_openvino(path)
    frame = next(synthetic_clip(1))
    queries = BoxQueries([frame.image], np.zeros(1, np.int64), frame.box_xywh[None])
    return engine.predict(queries, [[each] for each in engine.embed(queries)]).boxes_cxcywh


def count_compilations(monkeypatch):
    core, made = models.processor(), []

    class Counting:
        def compile_model(self, *arguments):
            made.append(arguments)
            return core.compile_model(*arguments)

        def __getattr__(self, name):
            return getattr(core, name)

    monkeypatch.setattr(models, "processor", Counting)
    return made


def test_compiled_models_are_kept_and_taken_again(own_cache, monkeypatch):
    made = count_compilations(monkeypatch)
    first = outputs_of(REFINER)
    assert len(made) == 2 and len(list(own_cache.iterdir())) == 2
    np.testing.assert_array_equal(outputs_of(REFINER), first)
    assert len(made) == 2
    for file in own_cache.iterdir():  # damage: a bit in the middle of one, the end of another
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    np.testing.assert_array_equal(outputs_of(REFINER), first)
    assert len(made) == 4


def test_a_cache_that_cannot_be_written_only_costs_time(own_cache):
    own_cache.parent.parent.mkdir()
    own_cache.parent.write_text("a file where the folder would be")
    assert np.isfinite(outputs_of(REFINER)).all()


def test_the_cache_does_not_grow_for_ever(own_cache, monkeypatch):
    monkeypatch.setattr(models, "MOST_KEPT", 1)
    outputs_of(REFINER)
    assert len(list(own_cache.iterdir())) == 1


def test_auto_takes_openvino_on_the_processor_and_nowhere_that_results_are_compared():
    from starktrack.workflows.trackers import RunSettings, TrackerSpec, describe_tracker

    for device in ("auto", "cpu"):
        assert isinstance(starktrack.load(device=device).engine, OpenVinoEngine)
    refined = starktrack.load(refine="refine_mobile")
    assert isinstance(refined.refiner, OpenVinoEngine)
    asked = starktrack.load(engine="onnx", refine="refine_mobile")
    assert isinstance(asked.engine, OnnxEngine) and isinstance(asked.refiner, OnnxEngine)
    spec = TrackerSpec("stark_mobile", TRACKER)
    assert describe_tracker(spec, "otb", RunSettings())["engine"] == "onnx"
    described = describe_tracker(spec, "otb", RunSettings(engine="openvino"))
    assert (described["engine"], described["precision"]) == ("openvino", "float32")


def test_without_openvino_everything_is_as_before_and_the_engine_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    models.processor.cache_clear()
    assert isinstance(starktrack.load().engine, OnnxEngine)
    with pytest.raises(
        MissingExtraError, match=r"engine openvino needs .* pip install \"starktrack\[openvino\]\""
    ):
        starktrack.load(engine="openvino")
    with pytest.raises(MissingExtraError, match="openvino"):
        starktrack.load(precision="bfloat16")
    monkeypatch.undo()
    models.processor.cache_clear()


def test_what_asks_for_nothing_imports_no_openvino():
    program = (
        "import sys, starktrack.cli.main, starktrack.api, starktrack.engines.openvino_engine, numpy\n"
        "starktrack.load(engine='onnx')\n"
        "print('openvino' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "False\n", done.stderr


def test_no_statistics_of_the_use_of_openvino_are_sent(tmp_path):
    pytest.importorskip("openvino_telemetry")
    program = (
        "import os, sys\n"
        "os.register_at_fork(before=lambda: print('forked', flush=True))\n"
        "import starktrack\n"
        "starktrack.load(engine='openvino')\n"
        "print('openvino_telemetry' in sys.modules)"
    )
    home = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    for name in ("CI", "TF_BUILD", "JENKINS_URL"):  # by which its package would send nothing
        home.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=home
    )
    assert done.stdout == "False\n", done.stderr
    assert not (tmp_path / "intel").exists(), "where it keeps the number by which it knows a user"


def test_a_processor_that_openvino_does_not_support(unknown_processor):
    import openvino

    class NoDevices:
        available_devices = ()

    unknown_processor.setattr(openvino, "Core", NoDevices)
    with pytest.raises(DeviceError, match=r"needs a processor that OpenVINO supports .* use engine onnx"):
        starktrack.load(engine="openvino")
    assert isinstance(starktrack.load().engine, OnnxEngine)


def test_an_openvino_that_cannot_be_loaded(unknown_processor):
    import openvino

    def refuse():
        raise RuntimeError("Exception from src/core.cpp:1:\nplugin is not there")

    unknown_processor.setattr(openvino, "Core", refuse)
    with pytest.raises(DeviceError, match="that can be loaded, got: plugin is not there; use engine onnx"):
        starktrack.load(engine="openvino")


def test_bfloat16_needs_a_processor_that_has_it(monkeypatch):
    monkeypatch.setattr(models, "capabilities", lambda: ["FP32", "INT8"])
    with pytest.raises(DeviceError, match=r"bfloat16 needs a processor with bfloat16 .* use float32"):
        starktrack.load(precision="bfloat16")


def test_bfloat16_is_passed_on_where_the_processor_has_it(own_cache, monkeypatch):
    made = count_compilations(monkeypatch)
    monkeypatch.setattr(models, "capabilities", lambda: ["FP32", "BF16"])
    frame = next(synthetic_clip(1))
    tracker = starktrack.load(precision="bfloat16")
    tracker.start(frame.image, box_xywh=frame.box_xywh)
    tracker.update(frame.image)
    assert str(tracker.engine.runtime) == "openvino, bfloat16, cpu"
    assert [options["INFERENCE_PRECISION_HINT"] for _, _, options in made] == ["bf16", "bf16"]


def test_precisions_that_an_engine_or_a_file_does_not_have(monkeypatch):
    with pytest.raises(ConfigError, match="bfloat16 is a precision of engine openvino, got engine onnx"):
        starktrack.load(engine="onnx", precision="bfloat16")
    with pytest.raises(ConfigError, match="bfloat16 is a precision of engine openvino, got engine torch"):
        starktrack.load(engine="torch", precision="bfloat16")
    for engine in ("onnx", "openvino"):
        with pytest.raises(
            CheckpointError,
            match=r"int8 needs a file in int8, .*; "
            r"run: starktrack export stark_mobile stark_mobile_int8.onnx --precision int8 --calibrate VIDEO$",
        ):
            starktrack.load(engine=engine, precision="int8")


def test_no_other_device(engine):
    with pytest.raises(DeviceError, match="openvino engine runs on the CPU, got device 'cuda'"):
        starktrack.load(engine="openvino", device="cuda")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"must be a file, .*none\.onnx does not exist"):
        open_openvino(tmp_path / "none.onnx")


@pytest.mark.parametrize("keep", [0, 100, 5000, -1000])
def test_a_truncated_file_is_refused(tmp_path, keep):
    path = tmp_path / "cut.onnx"
    path.write_bytes(REFINER.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"cut\.onnx is not or is truncated"):
        open_openvino(path)


def test_a_network_of_another_kind_or_of_somebody_else_is_refused(tmp_path):
    import onnx

    with pytest.raises(CheckpointError, match="must be a refiner's weights"):
        load_refiner(TRACKER, engine="openvino")
    network = onnx.load(TRACKER)
    metadata = list(network.metadata_props)
    del network.graph.output[-1]
    onnx.save(network, tmp_path / "short.onnx")
    with pytest.raises(CheckpointError, match=r"short\.onnx lacks score; write it anew"):
        open_openvino(tmp_path / "short.onnx")
    del network.metadata_props[:]
    assert metadata
    onnx.save(network, tmp_path / "foreign.onnx")
    with pytest.raises(CheckpointError, match="only files written by starktrack can be loaded"):
        open_openvino(tmp_path / "foreign.onnx")


@pytest.mark.shared
def test_success_on_a_real_sequence_is_that_of_onnx_runtime(shared):
    folder = shared / "data" / "eval" / "otb" / "Man"
    true = np.loadtxt(folder / "groundtruth_rect.txt", delimiter=",") - [1, 1, 0, 0]
    success = []
    for engine in ("onnx", "openvino"):
        tracker = starktrack.load(engine=engine)
        with open_frames(str(folder / "img")) as frames:
            tracked = islice(tracker.track(frames, true[0]), 50)
            boxes = np.stack([each.output.box_xywh for each in tracked])
        overlaps = overlap(xywh_to_xyxy(boxes), xywh_to_xyxy(true[:50]))
        success.append(100 * np.mean(overlaps[:, None] > np.linspace(0, 1, 21)))
    assert abs(success[0] - success[1]) < 0.1
