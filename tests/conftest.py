"""What several test folders share: the golden recipe, the reference data, networks filled by the recipe."""

import fcntl
import importlib.util
import os
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

# One thread each, also in the commands that tests start: small networks lose time to waiting for each other,
# and on a busy machine large ones lose most of it. Set before anything imports torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")

TESTS = Path(__file__).parent
GOLDEN = TESTS / "golden"
SHARED = TESTS.parents[1] / "shared"


SLOW = (
    "test_examples.py::test_an_example_runs",
    "test_docstring_examples.py::test_every_example_runs[starktrack.workflows.export]",
    "test_export.py::test_a_preset_with_weights_in_the_package_is_exported_with_them",
    "test_export.py::test_a_refiner_is_exported_by_name_and_by_file[name]",
    "test_batch_ray.py::test_a_node_that_is_killed_loses_doubles_and_changes_nothing",
    "test_export.py::test_every_head_can_be_exported[parts0]",
    "test_export.py::test_every_head_can_be_exported[parts1]",
    "test_export.py::test_every_head_can_be_exported[parts3]",
    "test_torchrun.py::test_a_failure_of_an_earlier_run_is_not_one_of_this",
    "test_torchrun.py::test_a_killed_launch_is_resumed_and_gives_the_same_table",
    "test_torchrun.py::test_a_failing_sequence_ends_in_an_error_and_the_others_are_done",
    "test_train.py::test_sigterm_to_all_processes_of_a_run_saves_too",
    "test_distributed.py::test_a_request_to_one_process_in_its_validation_stops_both_and_loses_nothing",
    "test_everything_on_the_page_runs[docs/tour.md]",
    "test_export.py::test_every_head_can_be_exported[parts2]",
    "test_reduced_export.py::test_a_network_with_fewer_bits_says_how_it_was_checked[int8]",
    "test_onnx_engine.py::test_lightning_follows_the_golden_video_as_the_authors_tracker_does",
    "test_batch.py::test_a_run_that_is_stopped_goes_on_and_gives_the_same_files[2]",
    "test_batch.py::test_a_run_that_is_stopped_goes_on_and_gives_the_same_files[9]",
    "test_folded_mobilenet.py::test_folded_weights_see_the_same_five_classes",
    "test_tracking.py::test_closed_loop_boxes_equal_the_authors_box_by_box[stark_s50",
    "test_onnx_refiner.py::test_a_refiner_whose_cells_look_at_their_own_alone_is_exported",
    "fuzz/test_runner.py::test_a_short_run",
    "test_overfit.py::",
    "test_finetune.py::",
    "test_everything_on_the_page_runs[docs/how-to/export.md]",
    "test_everything_on_the_page_runs[docs/how-to/train-on-my-videos.md]",
    "test_verbs.py::test_the_demo_tracks_a_real_helicopter_that_grows_fivefold_to_the_end",
    "test_vot.py::test_under_torchrun_a_failed_run_does_not_end_the_others",
    "test_kill.py::test_a_run_that_is_killed_at_random_moments_loses_nothing",
    "test_browser.py::test_what_is_done_faster_than_the_server_answers_is_done_in_order[400]",
    "test_pretrained.py::test_an_object_that_was_never_seen_in_training_is_followed[1]",
    "test_evaluate.py::test_a_network_gives_the_same_results_batched_one_by_one_and_with_workers",
    "test_browser.py::test_several_targets_are_named_coloured_and_tracked_both_ways",
    "test_browser_timeline.py::test_tracking_ends_at_the_next_key_box_where_asked",
    "test_export.py::test_a_refiner_is_exported_by_name_and_by_file[file]",
    "test_everything_on_the_page_runs[docs/batch.md]",
    "test_everything_on_the_page_runs[docs/how-to/track-a-video.md]",
    "test_browser_videos.py::test_a_turned_video_with_uneven_times_is_shown_and_tracked_as_by_the_command",
    "test_openvino_engine.py::test_success_on_a_real_sequence_is_that_of_onnx_runtime",
)
"""Tests that take 10 to 150 seconds on two old cores, such as whole exports and trainings. For each, a quicker one of
its kind stays.

They are marked `slow`. `scripts/test` runs them; `.ci/run`, which has 15 minutes, leaves them out.
"""


def pytest_collection_modifyitems(items):
    """Mark the tests of the list above."""
    for item in items:
        if any(name in item.nodeid for name in SLOW):
            item.add_marker(pytest.mark.slow)


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"golden_{name}", GOLDEN / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@lru_cache
def _filled(model: str) -> dict[str, np.ndarray]:
    return _script("fill_recipe").fill_from_json(GOLDEN / f"{model}_state_keys.json")


@lru_cache
def _video() -> tuple[np.ndarray, np.ndarray]:
    return _script("synth_video").video()


@pytest.fixture(scope="session")
def golden():
    """Return a reader of golden files by name."""
    return lru_cache(lambda name: dict(np.load(GOLDEN / f"{name}.npz")))


@pytest.fixture(scope="session")
def official_state():
    """Return the authors' state dict of a model, filled by the recipe, with optional overrides."""
    import torch

    def fill(model: str, overrides: dict[str, np.ndarray] | None = None) -> dict[str, torch.Tensor]:
        return {
            key: torch.from_numpy(value) for key, value in {**_filled(model), **(overrides or {})}.items()
        }

    return fill


@pytest.fixture(scope="session")
def golden_network(official_state):
    """Return (config, network in eval mode) of a published model with recipe weights; do not change it."""
    from starktrack.models.build import build_network
    from starktrack.models.official import convert_keys, recognise

    @lru_cache
    def unchanged(model: str):
        return build(model, {})

    def build(model: str, overrides: dict[str, np.ndarray]):
        state = convert_keys(official_state(model, overrides))
        config = recognise(state)
        network = build_network(config.model)
        network.load_state_dict(state)
        return config, network.eval()

    return lambda model, overrides=None: build(model, overrides) if overrides else unchanged(model)


@pytest.fixture(scope="session")
def golden_image() -> np.ndarray:
    """Return the picture that the golden crops were cut from."""
    return _script("synth_video").image()


@pytest.fixture(scope="session")
def golden_video() -> tuple[np.ndarray, np.ndarray]:
    """Return the frames and true boxes of the golden runs."""
    return _video()


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """Return the function that returns a file which `make(path)` writes once for all processes of a test run."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder

    def once(name: str, make) -> Path:
        path = folder / name
        with (folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                partial = folder / f"partial-{name}"
                make(partial)
                partial.rename(path)
        return path

    return once


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of reference data; skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the reference data folder is not here")
    return SHARED


SMALL = {
    "backbone": {"name": "test_efficientnet"},
    "transformer": {
        "width": 32,
        "num_heads": 4,
        "ffn_width": 48,
        "dropout": 0.0,
        "num_encoder_layers": 2,
        "num_decoder_layers": 2,
    },
    "box_head": {"width": 64},
    "search": {"side": 64, "factor": 4.0},
    "template": {"side": 32, "factor": 2.0},
}


@pytest.fixture(scope="session")
def small_model():
    """Return the small configuration with `key=value` changes."""
    from starktrack.config.loading import from_mapping, override
    from starktrack.config.schema import ModelConfig

    return lambda *changes: override(from_mapping(ModelConfig, SMALL), changes)


@pytest.fixture(scope="session")
def small_checkpoint(small_model, tmp_path_factory) -> Path:
    """Return a checkpoint of a small random network with two templates and a score; it updates every 3 frames."""
    import torch

    from starktrack.config.schema import Config, TrackingConfig
    from starktrack.models.build import build_network
    from starktrack.models.weights import save_weights

    torch.manual_seed(0)
    model = small_model("num_templates=2", "score_head=true", "geometry=exact")
    config = Config(name="small", model=model, tracking=TrackingConfig(update_interval=3, update_score=0.0))
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(path, build_network(model).state_dict(), config)
    return path


@pytest.fixture(scope="session")
def exported(made_once) -> Path:
    """Return the ONNX file of `tests.small_networks.sharp_tracker(0)`; an export takes many seconds."""
    from tests.small_networks import TRACKER, sharp_tracker

    from starktrack.engines.export import export_onnx

    return made_once("tiny.onnx", lambda path: export_onnx(sharp_tracker(0), TRACKER, path))


@pytest.fixture(scope="session")
def exported_refiner(made_once) -> Path:
    """Return the ONNX file of `tests.small_networks.sharp_refiner(0)`."""
    from tests.small_networks import REFINER, sharp_refiner

    from starktrack.engines.export import export_onnx

    return made_once("small.onnx", lambda path: export_onnx(sharp_refiner(0), REFINER, path))


@pytest.fixture(scope="session")
def small_clip() -> list:
    """Return twelve frames of 96 x 128 pixels with a moving object and its boxes."""
    from starktrack.data.synthetic.clip import synthetic_clip

    return list(synthetic_clip(12, size_hw=(96, 128)))
