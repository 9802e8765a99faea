import json
import os
import subprocess
import sys
from importlib.util import find_spec

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from starktrack.cli.main import app
from starktrack.data.synthetic.clip import synthetic_clip
from starktrack.data.track_output import TrackOutput
from starktrack.errors import CheckpointError, InputError, StarktrackError
from starktrack.evaluation.vot_results import anchor_frames, read_run, read_sequences, run_path
from starktrack.pretrained import pretrained_weights
from starktrack.tracking.tracker import Tracker
from starktrack.vot import ToolkitTracker
from starktrack.workflows.vot_check import check_tracker

needs_trax = pytest.mark.skipif(find_spec("trax") is None, reason="vot-trax is not installed")
NUM_FRAMES = 8
EXPORTED = pretrained_weights("stark_mobile", "onnx")
"""A file for processes that need not import PyTorch, which takes most of their time."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    import torch
    from tests.training.tiny import tiny_config

    from starktrack.models.build import build_network
    from starktrack.models.weights import save_weights

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(path, build_network(tiny_config().model).state_dict(), tiny_config())
    return path


@pytest.fixture
def workspace(tmp_path):
    """A short-term workspace: anchors at 0 (forward), 3 (forward) and 7 (backward)."""
    folder = tmp_path / "sequences" / "clip"
    (folder / "color").mkdir(parents=True)
    lines = []
    for index, frame in enumerate(synthetic_clip(NUM_FRAMES, size_hw=(90, 120))):
        path = folder / "color" / f"{index + 1:08d}.jpg"
        cv2.imwrite(str(path), cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
        lines.append(",".join(f"{value:g}" for value in frame.box_xywh) + "\n")
    (folder / "groundtruth.txt").write_text("".join(lines))
    (folder / "sequence").write_text("channels.color=color/%08d.jpg\nwidth=120\nheight=90\n")
    (folder / "anchor.value").write_text("1\n0\n0\n1\n0\n0\n0\n-1\n")
    (tmp_path / "sequences" / "list.txt").write_text("clip\n")
    return tmp_path


class FakeTracker(Tracker):
    """Moves its box by the brightness of the frame."""

    def __init__(self, score=0.75):
        self.score = score

    def start(self, image, *, box_xywh):
        self.box = np.array(box_xywh)

    def update(self, image):
        self.box = self.box + np.array([float(image[0, 0, 0]), 0.0, 0.0, 0.0])
        return TrackOutput(box_xywh=self.box, score=self.score)


def picture(tmp_path, value):
    path = tmp_path / f"{value}.png"
    cv2.imwrite(str(path), np.full((30, 40, 3), value, np.uint8))
    return str(path)


@pytest.mark.parametrize(
    ("region", "box"),
    [
        ((1.0, 2.0, 3.0, 4.0), (1, 2, 3, 4)),
        ((1, 2, 5, 2, 5, 8, 1, 8), (1, 2, 4, 6)),
        (np.pad(np.ones((4, 3), np.uint8), ((2, 5), (1, 0))), (1, 2, 3, 4)),
    ],
)
def test_the_toolkit_may_start_with_a_box_a_polygon_or_a_mask(tmp_path, region, box):
    tracker = ToolkitTracker(FakeTracker())
    assert tracker.initialize(picture(tmp_path, 0), (region, {})) == (box, {"confidence": 1.0})
    assert tracker.update(picture(tmp_path, 5), [], {}) == ((box[0] + 5, *box[1:]), {"confidence": 0.75})


def test_a_model_without_scores_is_always_sure(tmp_path):
    tracker = ToolkitTracker(FakeTracker(score=None))
    tracker.initialize(picture(tmp_path, 0), ((1.0, 2.0, 3.0, 4.0), {}))
    assert tracker.update(picture(tmp_path, 1))[1] == {"confidence": 1.0}


def test_a_region_of_another_kind_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"must be a box, a polygon or a mask, got shape \[3\]"):
        ToolkitTracker(FakeTracker()).initialize(picture(tmp_path, 0), ((1, 2, 3), {}))


def invoke(*arguments):
    return CliRunner().invoke(app, ["vot", *map(str, arguments)])


def test_entries_are_written_for_both_protocols_and_never_over_others(workspace, weights):
    (workspace / "trackers.ini").write_text("[Other]\nlabel = Other\nprotocol = trax\ncommand = other\n")
    assert invoke("init", workspace, "--weights", weights, "--name", "fox").exit_code == 0
    text = (workspace / "trackers.ini").read_text()
    assert "[Other]" in text
    assert f"command = {sys.executable} -m starktrack vot serve --weights {weights}" in text
    assert "[fox_python]" in text
    assert "command = starktrack.vot:tracker" in text
    again = invoke("init", workspace, "--weights", weights, "--name", "fox")
    assert isinstance(again.exception, InputError)
    assert "has an entry 'fox' already" in str(again.exception)
    assert (workspace / "trackers.ini").read_text() == text


def test_masks_are_for_trax_alone(workspace, weights):
    assert invoke("init", workspace, "--weights", weights, "--output", "mask").exit_code == 0
    text = (workspace / "trackers.ini").read_text()
    assert "--output mask" in text
    assert "protocol = python" not in text


def test_weights_of_the_package_are_told_by_name(workspace):
    assert invoke("init", workspace, "--device", "cpu").exit_code == 0
    text = (workspace / "trackers.ini").read_text()
    assert "[stark_mobile]" in text and "--weights stark_mobile" in text
    assert "arg_weights = stark_mobile\n" in text and "arg_settings" not in text
    ended = invoke("check", workspace, "stark_mobile_python")
    assert "works: 5 frames over python" in ended.stdout, ended.exception


@pytest.mark.parametrize("entry", [pytest.param("fox", marks=needs_trax), "fox_python"])
def test_settings_reach_the_tracker(workspace, entry):
    settings = ("--set", "tracking.search_growth = 2", "--set", "tracking.update_interval=7")
    invoke("init", workspace, "--weights", EXPORTED, "--name", "fox", "--device", "cpu", *settings)
    text = (workspace / "trackers.ini").read_text()
    assert "works: 5 frames over" in invoke("check", workspace, entry).stdout
    (workspace / "trackers.ini").write_text(text.replace("search_growth=2", "search_growth=11"))
    assert "search_growth" in str(invoke("check", workspace, entry).exception)
    assert "arg_settings = tracking.search_growth=2 tracking.update_interval=7\n" in text


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("tracking.search_grow=2", "did you mean"),
        ("model.search.factor=5", "only tracking.… can be set for weights that are given"),
        ("", "only tracking.… can be set for weights that are given, got ''"),
        ("tracking.update_interval=1 0", "must hold no spaces within key or value"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_an_entry_is_written(workspace, weights, setting, message):
    ended = invoke("init", workspace, "--weights", weights, "--set", setting)
    assert message in str(ended.exception)
    assert not (workspace / "trackers.ini").exists()


def test_an_entry_keeps_the_name_of_a_link(workspace, weights):
    link = workspace / "best.safetensors"
    link.symlink_to(weights)
    assert invoke("init", workspace, "--weights", link).exit_code == 0
    text = (workspace / "trackers.ini").read_text()
    assert "[best]" in text and f"arg_weights = {link}\n" in text


def test_weights_are_told_by_their_full_path(workspace, weights, monkeypatch):
    monkeypatch.chdir(weights.parent)
    assert invoke("init", workspace, "--weights", weights.name).exit_code == 0
    assert f"arg_weights = {weights}\n" in (workspace / "trackers.ini").read_text()


def test_damaged_weights_get_no_entry(workspace):
    (workspace / "bad.safetensors").write_bytes(b"nothing of ours")
    ended = invoke("init", workspace, "--weights", workspace / "bad.safetensors")
    assert isinstance(ended.exception, CheckpointError)
    assert not (workspace / "trackers.ini").exists()


def test_a_preset_without_weights_gets_no_entry(workspace):
    ended = invoke("init", workspace, "--weights", "stark_s50")
    assert isinstance(ended.exception, CheckpointError)
    assert not (workspace / "trackers.ini").exists()


def test_a_run_of_another_tracker_with_settings_is_refused(workspace):
    arguments = ("--experiment", "longterm", "--tracker", "mine:Still", "--set", "tracking.update_interval=5")
    ended = invoke("run", workspace, *arguments)
    assert "--set changes networks of ours, got --set tracking.update_interval=5" in str(ended.exception)


def test_weights_that_are_not_there_are_refused(workspace):
    ended = invoke("init", workspace, "--weights", "gone.safetensors")
    assert "weights must be a file or stark_mobile, gone.safetensors does not exist" in str(ended.exception)


def test_an_unknown_entry_is_named(workspace, weights):
    invoke("init", workspace, "--weights", weights, "--name", "fox")
    ended = invoke("check", workspace, "fix")
    assert "must have an entry 'fix'; did you mean 'fox'?" in str(ended.exception)


def test_the_python_protocol_is_checked_in_a_process_of_its_own(workspace):
    invoke("init", workspace, "--weights", EXPORTED, "--name", "fox", "--device", "cpu")
    ended = invoke("check", workspace, "fox_python")
    assert ended.exit_code == 0, ended.exception
    assert "works: 5 frames over python" in ended.stdout


@needs_trax
@pytest.mark.parametrize(("output", "answer"), [("box", "Rectangle"), ("mask", "Mask of size")])
def test_our_server_speaks_trax_over_a_socket(workspace, weights, output, answer):
    file = weights if output == "box" else EXPORTED
    invoke("init", workspace, "--weights", file, "--name", "fox", "--device", "cpu", "--output", output)
    ended = invoke("check", workspace, "fox")
    assert ended.exit_code == 0, ended.exception
    assert "works: 5 frames over trax" in ended.stdout
    assert answer in ended.stdout


@needs_trax
def test_what_a_failing_tracker_printed_is_shown(tmp_path):
    command = f"{sys.executable} -c \"import sys; print('hello'); import nothing_here\""
    with pytest.raises(StarktrackError) as caught:
        check_tracker({"protocol": "trax", "command": command}, tmp_path, 30.0)
    assert "the tracker ended with code 1; it printed:\nhello" in str(caught.value)
    assert "No module named 'nothing_here'" in str(caught.value)


@needs_trax
def test_a_tracker_that_never_answers_is_given_up(tmp_path):
    command = f'{sys.executable} -c "import time; time.sleep(60)"'
    with pytest.raises(StarktrackError, match=r"connect|answer within"):
        check_tracker({"protocol": "trax", "command": command}, tmp_path, 1.0)


@needs_trax
def test_a_tracker_is_started_in_an_empty_folder_as_the_toolkit_does(tmp_path):
    (tmp_path / "here.sh").write_text("#!/bin/sh\n")
    with pytest.raises(InputError, match=r"must start from any folder, \./here\.sh does not"):
        check_tracker({"protocol": "trax", "command": "./here.sh"}, tmp_path, 5.0)


@needs_trax
def test_paths_are_for_traxpython_alone(tmp_path):
    with pytest.raises(InputError, match="protocol trax must not have paths, the toolkit refuses it"):
        check_tracker({"protocol": "trax", "command": "x", "paths": "lib"}, tmp_path, 5.0)


SPEAKS_TRAX = """
import os, trax
def main():
    with trax.Server([trax.Region.RECTANGLE], [trax.Image.PATH]) as server:
        while server.wait().type != trax.TraxStatus.QUIT:
            server.status([(trax.Rectangle.create(1, 2, int(os.environ["WIDTH"]), 4), {})])
if __name__ == "__main__":
    main()
"""


@needs_trax
@pytest.mark.parametrize("command", ["mine_trax", "import mine_trax; mine_trax.main()"])
def test_traxpython_finds_a_module_or_runs_a_line_of_python(tmp_path, command):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "mine_trax.py").write_text(SPEAKS_TRAX)
    entry = {"protocol": "traxpython", "command": command, "paths": "lib", "env_WIDTH": "33"}
    message = check_tracker({**entry, "python": sys.executable}, tmp_path, 30.0)
    assert "works: 5 frames over traxpython" in message and "33" in message


def python_tracker(tmp_path, monkeypatch, name, text, **entry):
    """Check a module that the toolkit's own environment can import."""
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    return check_tracker({"protocol": "python", "command": f"{name}:make", **entry}, tmp_path)


def test_a_factory_of_the_python_protocol_that_raises_is_shown_with_all_it_printed(tmp_path, monkeypatch):
    text = "def make():\n    print('hello')\n    raise ZeroDivisionError('no weights')\n"
    with pytest.raises(StarktrackError) as caught:
        python_tracker(tmp_path, monkeypatch, "raising_factory", text)
    assert "the tracker ended with code 1 after 0 frames; it printed:\nhello" in str(caught.value)
    assert "ZeroDivisionError: no weights" in str(caught.value)


def test_a_python_tracker_that_dies_or_hangs_does_not_take_us_with_it(tmp_path, monkeypatch):
    with pytest.raises(StarktrackError, match="ended with code 9 after 0 frames; it printed:\nnothing"):
        python_tracker(tmp_path, monkeypatch, "deadly", "import os\ndef make(): os._exit(9)\n")
    with pytest.raises(StarktrackError, match=r"must answer within 3 s, and did not after 0 frames"):
        slow = "import time\ndef make(): time.sleep(60)\n"
        python_tracker(tmp_path, monkeypatch, "sleepy", slow, timeout="3")


def test_a_python_tracker_may_take_fewer_arguments_as_the_toolkit_lets_it(tmp_path, monkeypatch):
    text = (
        "class Tracker:\n"
        "    def __init__(self, width): self.width = width\n"
        "    def init(self, frame, new): return new[0]\n"
        "    def update(self, frame): return 1, 2, int(self.width), 4\n"
        "def make(width): return Tracker(width)\n"
    )
    message = python_tracker(tmp_path, monkeypatch, "frugal", text, arg_width="77")
    assert message == "works: 5 frames over python; the last answer is (1, 2, 77, 4)"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"protocol": "python", "command": "nothing"}, "must be module:factory, got 'nothing'"),
        ({"protocol": "matlab", "command": "x"}, "the protocol trax, traxpython, python, got 'matlab'"),
        ({"protocol": "trax", "command": "x", "timeout": "soon"}, "timeout must be seconds, got 'soon'"),
    ],
)
def test_an_entry_that_cannot_be_started_is_refused(tmp_path, entry, message):
    with pytest.raises(InputError, match=message):
        check_tracker(entry, tmp_path)


def test_anchors_are_run_forward_and_backward_into_the_toolkits_files(workspace, monkeypatch):
    (workspace / "mine.py").write_text(
        "class Still:\n"
        "    def start(self, image, box_xywh): self.box = box_xywh\n"
        "    def update(self, image): return self.box\n"
    )
    monkeypatch.chdir(workspace)
    ended = invoke("run", ".", "--experiment", "baseline", "--tracker", "mine:Still", "--name", "still")
    assert ended.exit_code == 0, ended.exception
    assert "3 of 3 runs are in results/still/baseline" in ended.stdout
    (truth,) = read_sequences(workspace)
    lengths = {}
    for anchor in truth.benchmark.anchors:
        path = run_path(workspace / "results" / "still", "baseline", "clip", f"{anchor:08d}")
        run = read_run(path, len(anchor_frames(truth, anchor)))
        lengths[anchor] = len(run.regions)
        np.testing.assert_allclose(
            run.regions[1].box_xywh, truth.benchmark.regions[anchor].box_xywh, atol=1e-3
        )
    assert lengths == {0: 8, 3: 5, 7: 8}
    stamp = path.stat().st_mtime_ns
    invoke("run", ".", "--experiment", "baseline", "--tracker", "mine:Still", "--name", "still")
    assert path.stat().st_mtime_ns == stamp


def test_two_trackers_of_one_name_are_not_mixed(workspace, monkeypatch):
    (workspace / "two.py").write_text(
        "class Still:\n"
        "    def start(self, image, box_xywh): self.box = box_xywh\n"
        "    def update(self, image): return self.box\n"
        "class Other(Still): pass\n"
    )
    monkeypatch.chdir(workspace)
    arguments = ["run", ".", "--experiment", "unsupervised", "--name", "still", "--tracker"]
    assert invoke(*arguments, "two:Still").exit_code == 0
    ended = invoke(*arguments, "two:Other")
    assert "tracker was 'two:Still' there, and is 'two:Other' now" in str(ended.exception)
    (workspace / "results/still/unsupervised/run.json").unlink()
    assert "it has no run.json" in str(invoke(*arguments, "two:Still").exception)


def test_a_long_run_may_let_the_search_region_grow(workspace, weights):
    arguments = ["run", workspace, "--experiment", "longterm", "--weights", weights, "--device", "cpu"]
    grown = [*arguments, "--name", "grown", "--set", "tracking.search_growth=2"]
    assert invoke(*grown).exit_code == 0
    metadata = json.loads((workspace / "results/grown/longterm/run.json").read_text())
    assert metadata["config"]["tracking"]["search_growth"] == 2
    ended = invoke(*arguments, "--name", "grown")
    assert "search_growth was 2.0 there, and is 1.0 now" in str(ended.exception)


@pytest.mark.parametrize("name", ["stark.v2", "a b", "a/b", "é"])
def test_a_name_that_the_toolkit_refuses_is_refused(workspace, weights, name):
    ended = invoke("init", workspace, "--weights", weights, "--name", name)
    assert f"must be letters, digits, - and _ for the toolkit, got {name!r}" in str(ended.exception)
    assert not (workspace / "trackers.ini").exists()


def test_masks_fill_the_box(workspace, monkeypatch):
    (workspace / "mine2.py").write_text(
        "class Fixed:\n"
        "    def start(self, image, box_xywh): pass\n"
        "    def update(self, image): return 10.4, 20.6, 2.2, 3.0\n"
    )
    monkeypatch.chdir(workspace)
    arguments = ["--experiment", "unsupervised", "--tracker", "mine2:Fixed", "--name", "fixed", "--mask"]
    assert invoke("run", ".", *arguments).exit_code == 0
    lines = (workspace / "results/fixed/unsupervised/clip/clip_001.txt").read_text().split()
    # Edges 10.4 to 12.6 and 20.6 to 23.6: columns 10 to 12, rows 21 to 23.
    assert lines[0] == "1"
    assert lines[1] == "m10,21,3,3,0,9"


def test_an_anchor_run_without_anchors_is_refused(workspace):
    (workspace / "sequences" / "clip" / "anchor.value").unlink()
    ended = invoke("run", workspace, "--experiment", "baseline", "--tracker", "mil")
    assert "clip must have anchor.value to start from, got none" in str(ended.exception)
    # A folder of the experiment would say that the tracker ran it.
    assert not (workspace / "results").exists()


def test_a_preset_is_run_with_its_weights_of_the_package(workspace):
    ended = invoke("run", workspace, "--experiment", "unsupervised", "--tracker", "stark_mobile")
    assert ended.exit_code == 0, ended.exception
    assert (workspace / "results/stark_mobile/unsupervised/clip/clip_001.txt").exists()
    ended = invoke("run", workspace, "--experiment", "unsupervised", "--tracker", "stark_s50")
    assert isinstance(ended.exception, CheckpointError)
    assert "stark_s50 needs weights" in str(ended.exception)


@pytest.fixture(scope="module")
def refiner(tmp_path_factory):
    """Weights of a refiner that takes the whole crop for the target."""
    import torch
    from tests.data.samples.test_outline import MODEL

    from starktrack.config.schema import Config
    from starktrack.models.refine import build_refiner
    from starktrack.models.weights import save_weights

    torch.manual_seed(0)
    network = build_refiner(MODEL)
    torch.nn.init.constant_(network.outline.bias, 9.0)
    path = tmp_path_factory.mktemp("weights") / "refiner.safetensors"
    save_weights(path, network.state_dict(), Config(name="small", model=MODEL))
    return path


@needs_trax
def test_our_server_submits_outlines(workspace):
    refiner = pretrained_weights("refine_mobile", "onnx")
    options = ("--name", "fox", "--device", "cpu", "--output", "mask", "--refine", refiner)
    assert invoke("init", workspace, "--weights", EXPORTED, *options).exit_code == 0
    assert f"--refine {refiner}" in (workspace / "trackers.ini").read_text()
    ended = invoke("check", workspace, "fox")
    assert ended.exit_code == 0, ended.exception
    assert "works: 5 frames over trax" in ended.stdout
    assert "Mask of size" in ended.stdout


def test_a_run_with_a_refiner_writes_the_outlines_of_any_tracker(workspace, refiner, monkeypatch):
    (workspace / "mine3.py").write_text(
        "class Fixed:\n"
        "    def start(self, image, box_xywh): pass\n"
        "    def update(self, image): return 40.0, 30.0, 20.0, 20.0\n"
    )
    monkeypatch.chdir(workspace)
    arguments = ["--experiment", "unsupervised", "--tracker", "mine3:Fixed", "--name", "fixed", "--mask"]
    ended = invoke("run", ".", *arguments, "--refine", refiner, "--device", "cpu")
    assert ended.exit_code == 0, ended.exception
    (truth,) = read_sequences(workspace)
    run = read_run(run_path(workspace / "results" / "fixed", "unsupervised", "clip", "001"), NUM_FRAMES)
    # The outline fills the crop of twice the box, 40 px from (30, 20).
    region = run.regions[1]
    assert (region.corner_xy, region.pixels.shape, region.pixels.all()) == ((30, 20), (40, 40), True)
    assert len(run.regions) == len(truth) == NUM_FRAMES


FAILING = """
import os, time
class Fails:
    def start(self, image, box_xywh):
        self.box, self.num_frames = box_xywh, 0
    def update(self, image):
        self.num_frames += 1
        # Only the run from the fourth frame has four more to go.
        if os.environ.get("FAILS") and self.num_frames == 5:
            raise RuntimeError("lost my mind")
        return self.box
if os.environ.get("RANK") == "1":
    time.sleep(float(os.environ.get("LATE_SECONDS", "0")))
"""


def test_a_failed_run_keeps_its_reason_until_it_is_finished(workspace, monkeypatch):
    (workspace / "fails.py").write_text(FAILING)
    monkeypatch.chdir(workspace)
    monkeypatch.setenv("FAILS", "1")
    arguments = ["run", ".", "--experiment", "baseline", "--tracker", "fails:Fails", "--name", "f"]
    ended = invoke(*arguments)
    assert ended.exit_code == 1
    assert "1 of 3 runs are in results/f/baseline" in ended.stdout
    assert "failed: f on clip_00000000, frame 5: RuntimeError: lost my mind; all of it: " in ended.stderr
    reason = workspace / "results/f/baseline/failed/clip_00000000.txt"
    assert 'raise RuntimeError("lost my mind")' in reason.read_text()
    half = workspace / "results/f/baseline/clip/.clip_00000000.12.partial.txt"
    half.write_text("1\n")
    monkeypatch.delenv("FAILS")
    assert invoke(*arguments).exit_code == 0
    assert not reason.exists() and not half.exists()


def test_under_torchrun_a_failed_run_does_not_end_the_others(workspace):
    (workspace / "fails.py").write_text(FAILING)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m"]
    command += ["starktrack", "vot", "run", ".", "--experiment", "baseline", "--tracker", "fails:Fails"]

    def launch(**more):
        return subprocess.run(
            command, cwd=workspace, env={**os.environ, **more}, capture_output=True, text=True, check=False
        )

    ended = launch(FAILS="1", LATE_SECONDS="4")
    assert ended.returncode != 0
    assert "1 of 3 runs are in results/fails.Fails/baseline" in ended.stdout
    assert ended.stderr.count("RuntimeError: lost my mind; all of it:") == 2
    mended = launch(LATE_SECONDS="4")
    assert mended.returncode == 0, mended.stderr
    assert "3 of 3 runs are in results/fails.Fails/baseline" in mended.stdout
