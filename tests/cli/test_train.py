import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import typer
from tests.memory import MemoryCollection, small_collection
from tests.training.tiny import tiny_job, tiny_network, tiny_recipe
from typer.testing import CliRunner

import starktrack
from starktrack.cli.train import train
from starktrack.cli.train_plan import show_plan
from starktrack.config.training import ValidationConfig
from starktrack.data.track_output import TrackOutput
from starktrack.data.video_sequence import VideoSequence
from starktrack.errors import CheckpointError, ConfigError, DatasetError
from starktrack.models import build as build_module
from starktrack.models.weights import read_weights
from starktrack.tracking.tracker import Tracker
from starktrack.training.distributed import Processes
from starktrack.training.loop import train as run_recipe
from starktrack.training.metrics_log import read_metrics
from starktrack.workflows.train import plan_job
from starktrack.workflows.validation import choose_sequences, score_boxes, score_sequence, track_and_score

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(train)

TINY = """
config = "stark_mobile"

[run]
batch_size = 4
micro_batch = 2
samples_per_epoch = 8
log_every = 1
imagenet = false

[datasets.own]
source = "videos"
split = "all"

[datasets.made]
source = "synthetic"
objects = "own"
backgrounds = "own"

[datasets.made.synthetic]
num_frames = 8
side = 64

[validation]
every = 1
max_sequences = 2
max_frames = 3

[validation.datasets.own]
source = "videos"
split = "all"

[stages.localise]
epochs = 2

[stages.localise.loss]
centre = 0.5

[stages.localise.data.sampling]
min_length = 5

[stages.localise.data.loader]
num_workers = 0
"""

SMALL = [
    "config.model.backbone.name=test_efficientnet",
    "config.model.transformer.width=32",
    "config.model.box_head.width=32",
    "config.model.transformer.num_encoder_layers=1",
    "config.model.search.side=64",
    "config.model.template.side=32",
]


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    torch.set_num_threads(1)


@pytest.fixture
def arguments(tmp_path):
    for number in range(3):
        write_video(tmp_path / "data" / f"video{number}", number)
    (tmp_path / "tiny.toml").write_text(TINY)

    places = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "run"), "--device", "cpu"]
    return lambda *changes: [str(tmp_path / "tiny.toml"), *SMALL, *changes, *places]


@pytest.fixture
def command(arguments):
    return lambda *changes: CliRunner().invoke(app, arguments(*changes), catch_exceptions=True)


def write_video(folder: Path, seed: int) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for number in range(1, 9):
        cv2.imwrite(str(folder / f"{number:08d}.png"), rng.integers(0, 255, (48, 64, 3), dtype=np.uint8))
    (folder / "groundtruth.txt").write_text("".join(f"{10 + number},6,36,32\n" for number in range(8)))


def test_a_run_ends_with_weights_that_can_be_tracked_with(tmp_path, command):
    result = command()
    assert result.exit_code == 0, result.output
    records = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [r["kind"] for r in records] == ["train", "train", "validation"] * 2
    assert (tmp_path / "run" / "pictures" / "epoch-0001.jpg").exists()
    for name in ("weights", "best"):
        tracker = starktrack.load(weights=tmp_path / "run" / f"{name}.safetensors", device="cpu")
        image = np.zeros((48, 64, 3), np.uint8)
        tracker.start(image, box_xywh=(10, 10, 16, 16))
        assert np.isfinite(tracker.update(image).box_xywh).all()


def test_weights_of_another_network_are_refused_with_the_settings_that_differ(tmp_path, command, arguments):
    assert command("config.model.box_head.kind=corner", "stages.localise.epochs=1").exit_code == 0
    other = tmp_path / "corner.safetensors"
    (tmp_path / "run" / "weights.safetensors").rename(other)
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(CheckpointError) as refused:
        CliRunner().invoke(app, arguments("--weights", str(other)), catch_exceptions=False)
    message = str(refused.value)
    assert "the recipe has box_head.kind = 'guided', not 'corner'; change" in message and len(message) < 500


def test_a_network_with_roles_starts_from_weights_without_them(tmp_path, command):
    assert command("stages.localise.epochs=1").exit_code == 0
    plain = tmp_path / "plain.safetensors"
    (tmp_path / "run" / "weights.safetensors").rename(plain)
    shutil.rmtree(tmp_path / "run")
    again = command("config.model.role_embedding=true", "stages.localise.epochs=1", "--weights", str(plain))
    assert again.exit_code == 0, again.output
    config, state = read_weights(tmp_path / "run" / "weights.safetensors")
    assert config.model.role_embedding and state["role_embedding"].any()


def test_a_dry_run_tells_what_it_would_do_and_writes_nothing(tmp_path, command):
    result = command("--dry-run")
    assert result.exit_code == 0, result.output
    for text in (
        "own",
        "synthetic",
        "1,000,000",
        "50%",
        "[2, 2, 3, 32, 32]",
        "4 = 2 of these on 1 process(es)",
        "GiB",
    ):
        assert text in result.output
    assert not (tmp_path / "run").exists()


def no_pretraining(monkeypatch):
    """Make every use of pretrained weights an error, and return the recipe's wish for them."""

    def build(config, *, imagenet=False, backbone_weights=None, auxiliary_head=False):
        assert not imagenet and backbone_weights is None, "pretrained weights were asked for"
        return build_network(config, auxiliary_head=auxiliary_head)

    build_network = build_module.build_network
    monkeypatch.setattr(build_module, "build_network", build)
    return "run.imagenet=true"


def test_a_dry_run_fetches_no_pretrained_weights(command, monkeypatch):
    wish = no_pretraining(monkeypatch)
    assert command("--dry-run", wish).exit_code == 0
    assert "were asked for" in str(command(wish).exception), "a fresh run wants them"


def test_a_run_that_goes_on_fetches_no_pretrained_weights(command, monkeypatch):
    assert command("stages.localise.epochs=1", "validation.every=0").exit_code == 0
    wish = no_pretraining(monkeypatch)
    assert command("--resume", "validation.every=0", wish).exit_code == 0


def test_a_folder_with_a_run_is_not_written_over(tmp_path, command):
    assert command("stages.localise.epochs=1").exit_code == 0
    error = command("stages.localise.epochs=1").exception
    assert isinstance(error, ConfigError) and "add --resume" in str(error)


def test_resuming_with_more_epochs_goes_on(tmp_path, command):
    assert command("stages.localise.epochs=1", "validation.every=0").exit_code == 0
    assert command("--resume", "validation.every=0").exit_code == 0
    steps = [r["step"] for r in read_metrics(tmp_path / "run" / "metrics.jsonl") if r["kind"] == "train"]
    assert steps == [1, 2, 3, 4]


def test_sigterm_saves_and_ends_with_143(tmp_path, command):
    metrics = tmp_path / "run" / "metrics.jsonl"

    def terminate():
        while not read_metrics(metrics):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=terminate, daemon=True)
    thread.start()
    result = command("stages.localise.epochs=500", "validation.every=0", "run.picture_every=0")
    thread.join()
    assert result.exit_code == 143
    assert "saved in" in result.output
    assert len(list((tmp_path / "run" / "checkpoints").iterdir())) >= 1


def test_sigterm_to_all_processes_of_a_run_saves_too(tmp_path, arguments):
    metrics = tmp_path / "run" / "metrics.jsonl"
    changes = [
        "stages.localise.data.loader.num_workers=1",
        "stages.localise.epochs=500",
        "validation.every=0",
    ]
    run = subprocess.Popen(
        [sys.executable, "-m", "starktrack", "train", *arguments(*changes)],
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    while run.poll() is None and not (metrics.is_file() and read_metrics(metrics)):
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGTERM)
    _, error = run.communicate(timeout=60)
    assert run.returncode == 143, error
    assert "saved in" in error


def test_an_unknown_key_is_answered_with_the_nearest(command):
    error = command("run.batchsize=2").exception
    assert isinstance(error, ConfigError) and "did you mean 'batch_size'?" in str(error)


def test_data_that_is_not_there_is_named(tmp_path, command):
    error = command("datasets.own.root=nowhere").exception
    assert isinstance(error, DatasetError) and "nowhere" in str(error)


def test_success_and_overlap_by_hand():
    true = np.array([[0.0, 0, 10, 10], [0, 0, 10, 10]])
    predicted = np.array([[0.0, 0, 10, 10], [5, 0, 10, 10]])
    # Overlaps 1 and 1/3: above 20 of 21 thresholds (not above 1 itself), and above 0, 0.05, ... 0.3.
    assert score_boxes(predicted, true) == pytest.approx((2 / 3, (20 + 7) / 42))


class StillTracker(Tracker):
    """Never moves its box."""

    def __init__(self):
        self.engine = None

    def start(self, image, *, box_xywh):
        self.box = box_xywh

    def update(self, image):
        return TrackOutput(box_xywh=self.box)


def still_sequence(visible):
    class Blank:
        def __len__(self):
            return 4

        def read(self, index):
            return np.zeros((40, 40, 3), np.uint8)

    boxes = np.tile([5.0, 5, 10, 10], (4, 1)) + np.arange(4)[:, None] * [10, 0, 0, 0]
    return VideoSequence("still", Blank(), boxes, np.array(visible))


def test_frames_without_the_target_and_the_given_one_do_not_count():
    # From frame 1 on: frame 2 is hidden, frame 3 has left the box.
    assert score_sequence(StillTracker(), still_sequence([False, True, False, True])) == (0.0, 0.0)
    assert score_sequence(StillTracker(), still_sequence([True, False, False, False])) == (1.0, 20 / 21)


def test_a_sequence_that_never_shows_its_target_is_an_error_that_names_it():
    with pytest.raises(DatasetError, match=r"show its target, still does in none of its 4 frames"):
        score_sequence(StillTracker(), still_sequence([False] * 4))


def test_a_sequence_that_cannot_be_read_is_logged_and_left_out_of_the_validation(tmp_path, caplog):
    good, recipe = still_sequence([True] * 4), tiny_recipe()
    hidden = replace(good, name="hidden", visible=np.zeros(4, bool))
    outside = replace(good, name="outside", boxes_xywh=np.tile([5.0, 5, 0, 0], (4, 1)))
    state = tiny_network(recipe).state_dict()
    scores = track_and_score([hidden, good, outside], torch.device("cpu"))(state, recipe.config)
    assert len(list(scores)) == 1
    assert [name for name in ("still", "hidden", "outside") if f": {name}: " in caplog.text] == [
        "hidden",
        "outside",
    ]


def test_a_validation_of_which_nothing_is_left_is_an_error(tmp_path):
    recipe = tiny_recipe(validation={"every": 1}, samples_per_epoch=8)
    validate = track_and_score([still_sequence([False] * 4)], torch.device("cpu"))
    with pytest.raises(ConfigError, match="at least one sequence that can be scored, got none"):
        run_recipe(tiny_job(recipe, tmp_path, validate=validate), tiny_network(recipe))


def test_sequences_are_chosen_evenly():
    sequences = MemoryCollection(still_sequence([True] * 4) for _ in range(9))
    chosen = choose_sequences({"all": sequences}, ValidationConfig(max_sequences=3))
    assert [next(i for i, s in enumerate(sequences) if s is c) for c in chosen] == [0, 4, 8]
    assert len(choose_sequences({"all": sequences}, ValidationConfig())) == 9


def test_only_the_first_process_prints_the_plan(tmp_path, capsys):
    recipe = tiny_recipe()
    collections = {"memory": small_collection()}
    for rank in (0, 1):
        job = replace(tiny_job(recipe, tmp_path), processes=Processes(rank, 1))
        show_plan(plan_job(job, tiny_network(recipe), collections))
        assert ("Stages, measured on cpu" in capsys.readouterr().out) == (rank == 0)
