import json
import shutil

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from starktrack.cli.report import report
from starktrack.errors import ConfigError, ResultFileError
from starktrack.evaluation.truth import NAMES, open_truth, scored_sequences
from starktrack.workflows.report import KNOWN, LONG_TERM, check_known


@pytest.fixture
def command():
    app = typer.Typer()
    app.command()(report)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def folders(tmp_path):
    rng = np.random.default_rng(0)
    for index in range(3):
        truth = np.array([50.0, 50, 30, 30]) + rng.normal(0, 2, (20, 4)).cumsum(0) * [1, 1, 0, 0]
        for name, noise in (("truth", 0), ("good", 1), ("bad", 4)):
            (tmp_path / name).mkdir(exist_ok=True)
            boxes = truth + noise * rng.normal(0, 1, truth.shape)
            np.savetxt(tmp_path / name / f"seq-{index}.txt", boxes, fmt="%.3f", delimiter=",")
    return tmp_path


def test_one_command_scores_two_trackers_and_writes_json(command, folders):
    done = command(
        folders / "good", f"worse={folders / 'bad'}", "--dataset", "custom", "--annotations", folders / "truth",
        "--json", folders / "out.json", "--form", "markdown", "--compare", "--per", "sequence",
        "--per", "attribute", "--published", "--explain",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "| good |" in done.output
    assert "| seq-2 |" in done.output
    assert "AUC per attribute derived from boxes" in done.output
    assert "good minus worse" in done.output
    assert "counts are divided by all frames" in done.output
    parsed = json.loads((folders / "out.json").read_text())
    assert parsed["trackers"]["good"]["measures"]["auc"] > parsed["trackers"]["worse"]["measures"]["auc"]


def test_attributes_that_were_told_are_not_called_derived(command, folders):
    parsed = {f"seq-{index}": ["dark"] for index in range(3)}
    (folders / "parsed.json").write_text(json.dumps(parsed))
    done = command(
        folders / "good", "--dataset", "custom", "--annotations", folders / "truth", "--form", "markdown",
        "--per", "attribute", "--attributes", folders / "parsed.json",
    )  # fmt: skip
    assert "dark (3)" in done.output
    assert "derived" not in done.output


@pytest.mark.parametrize("form", ["terminal", "csv", "latex"])
def test_every_form_prints(command, folders, form):
    done = command(
        folders / "good", "--dataset", "custom", "--annotations", folders / "truth", "--form", form
    )
    assert done.exit_code == 0
    assert "good" in done.output


def test_a_tracker_that_ran_twice_is_scored_over_both_runs(command, tmp_path):
    truth = np.tile([10.0, 10, 20, 20], (5, 1))
    for folder in ("truth", "ours/a"):
        (tmp_path / folder).mkdir(parents=True)
    np.savetxt(tmp_path / "truth" / "a.txt", truth, delimiter=",")
    np.savetxt(tmp_path / "ours" / "a" / "a_001.txt", truth, delimiter=",")
    # Half of the true box in four of five frames, the first counts as given: 1 and 0.6, so 0.8 over both runs.
    np.savetxt(tmp_path / "ours" / "a" / "a_002.txt", truth * [1, 1, 0.5, 1], delimiter=",")
    done = command(
        tmp_path / "ours", "--dataset", "custom", "--dialect", "got10k", "--annotations", tmp_path / "truth",
        "--json", tmp_path / "out.json",
    )  # fmt: skip
    assert done.exit_code == 0, done.exception
    parsed = json.loads((tmp_path / "out.json").read_text())
    assert parsed["trackers"]["ours"]["measures"]["mean_overlap"] == pytest.approx(0.8)


def test_a_missing_sequence_and_an_unknown_form_are_one_clear_error_each(command, folders):
    (folders / "good" / "seq-1.txt").unlink()
    arguments = ["--dataset", "custom", "--annotations", folders / "truth"]
    done = command(folders / "good", *arguments)
    assert isinstance(done.exception, ResultFileError)
    assert "got 1 missing: seq-1" in str(done.exception)
    done = command(folders / "bad", *arguments, "--form", "html")
    assert done.exit_code == 2
    assert "'html' is not one of" in done.output


def test_a_union_of_data_sets_is_one_table(command, folders):
    for old, new in (
        ("seq-0", "otb/David/groundtruth_rect"),
        ("seq-1", "tc128/Bee_ce/Bee_ce_gt"),
        ("seq-2", "uav/bike1"),
    ):
        (folders / new).parent.mkdir(parents=True)
        (folders / "truth" / f"{old}.txt").rename(folders / f"{new}.txt")
    # TC128 has all of its sequences there; NOTU has those that OTB has not.
    shutil.copytree(folders / "tc128" / "Bee_ce", folders / "tc128" / "Bolt")
    (folders / "tc128" / "Bolt" / "Bee_ce_gt.txt").rename(folders / "tc128" / "Bolt" / "Bolt_gt.txt")
    for name in ("Bee_ce", "Bolt"):
        (folders / "tc128" / name / f"{name}_frames.txt").write_text("1,20")
    for old, new in (("seq-0", "David"), ("seq-1", "tpl_Bee_ce"), ("seq-2", "uav_bike1")):
        (folders / "good" / f"{old}.txt").rename(folders / "good" / f"{new}.txt")
    places = {"otb": "otb", "tc128": "tc128", "uav123": "uav"}
    union = [
        word for part, place in places.items() for word in ("--annotations", f"{part}={folders / place}")
    ]
    options = ["--form", "markdown", "--per", "sequence", "--json", folders / "out.json"]
    done = command(folders / "good", "--dataset", "notu", *union, *options)
    assert "notu, 3 sequences" in done.output
    parsed = json.loads((folders / "out.json").read_text())["conventions"]
    # UAV123 alone passes frames without target in the precision plot.
    assert set(parsed) == {"otb", "tc128", "uav123"}
    assert parsed["otb"] == parsed["tc128"] != parsed["uav123"]
    assert "| uav123_bike1 |" in done.output
    assert "annotations of 3 of the 301 sequences" in done.stderr
    done = command(folders / "good", "--dataset", "notu", *[word.partition("=")[2] or word for word in union])
    assert isinstance(done.exception, ConfigError)


def test_a_list_of_names_selects_sequences(command, folders):
    (folders / "names.txt").write_text("seq-0\nseq-2\n")
    done = command(
        folders / "good", "--dataset", "custom", "--annotations", folders / "truth",
        "--sequences", folders / "names.txt", "--form", "markdown",
    )  # fmt: skip
    assert "custom, 2 sequences, stark dialect" in done.output


def test_the_speed_of_got10k_is_the_one_that_its_toolkit_prints(
    command, oracle_program, golden_folder, tmp_path
):
    program = oracle_program("oracle_got10k")
    program.write_got10k(tmp_path, program.synthetic())
    results = tmp_path / "results" / "GOT-10k" / "ours"
    options = ["--dataset", "got10k_val", "--annotations", tmp_path, "--form", "csv", "--explain"]
    done = command(results, *options)
    speed = json.loads((golden_folder / "oracle_got10k.json").read_text())["got10k"]["speed_fps"]
    (row,) = [line for line in done.output.splitlines() if line.startswith("ours,")]
    assert row.endswith(f",{speed:.1f}")
    assert "FPS: mean of 1/seconds over the frames of all sequences, initialisations included" in done.output
    assert (
        "FPS: frames of all sequences over their seconds"
        in command(results, *options, "--dialect", "stark").output
    )


def test_vot_results_are_scored_by_the_same_command(command, oracle_program, tmp_path):
    oracle_program("oracle_vot").write_workspace(tmp_path / "ws")
    place, workspace = tmp_path / "ws" / "results" / "Ours", tmp_path / "ws"
    done = command(place, "--dataset", "vot2020lt", "--annotations", workspace, "--form", "markdown")
    assert "| Ours | 62.19 ±8.61 | 64.82 ±7.65 | 63.48 ±7.27 |" in done.output
    done = command(
        place,
        "--dataset",
        "vot2020",
        "--annotations",
        workspace,
        "--form",
        "csv",
        "--json",
        tmp_path / "v" / "vot.json",
    )
    parsed = json.loads((tmp_path / "v" / "vot.json").read_text())["experiments"]
    assert len(parsed["baseline"]["Ours"]["eao_curve"]) == 755
    low, high = parsed["baseline"]["Ours"]["intervals"]["robustness"]
    assert 0 < low < parsed["baseline"]["Ours"]["robustness"] < high < 1
    assert parsed["baseline"]["Ours"]["tags"] == {}
    assert list(parsed) == ["baseline", "unsupervised"]
    assert done.output.splitlines()[1].startswith("Ours,")


@pytest.mark.parametrize("dataset", ["vot2020", "vot2020lt"])
def test_vot_results_must_be_a_folder(command, oracle_program, tmp_path, dataset):
    oracle_program("oracle_vot").write_workspace(tmp_path / "ws")
    packed = shutil.make_archive(str(tmp_path / "Ours"), "zip", tmp_path / "ws" / "results" / "Ours")
    done = command(packed, "--dataset", dataset, "--annotations", tmp_path / "ws")
    assert "must be a tracker's folder, results/<tracker>" in str(done.exception)
    assert "unpack it if it is a zip" in str(done.exception)


def test_a_folder_of_a_vot_experiment_is_told_from_that_of_its_tracker(command, tmp_path):
    (tmp_path / "ours" / "longterm").mkdir(parents=True)
    parsed = {"dataset": "vot_longterm", "experiment": "longterm"}
    (tmp_path / "ours" / "longterm" / "run.json").write_text(json.dumps(parsed))
    done = command(tmp_path / "ours" / "longterm", "--annotations", tmp_path)
    assert isinstance(done.exception, ConfigError)
    assert "name the folder above it, and --dataset vot2020 or vot2020lt" in str(done.exception)


def test_vot_results_are_explained_compared_and_set_beside_published_ones(command, oracle_program, tmp_path):
    oracle_program("oracle_vot").write_workspace(tmp_path / "ws")
    place = tmp_path / "ws" / "results" / "Ours"
    options = ["--annotations", tmp_path / "ws", "--form", "markdown", "--compare", "--per", "sequence"]
    done = command(place, f"again={place}", "--dataset", "vot2020", *options, "--explain", "--published")
    assert done.exit_code == 0, done.exception
    assert "a run fails where the overlap is at most 0.1 for 10 frames" in done.output
    assert "| STARK-ST50 † | 0.308 |  |  |" in done.output
    assert "† STARK-ST50: Yan et al., ICCV 2021, section 4.2" in done.stderr
    assert "| RPT † | 0.530 |  |  |" in done.output
    assert "† not here: table 3 of the paper: accuracy and robustness" in done.stderr
    assert "intervals: 95 % by bootstrap over sequences" in done.output
    assert "| EAO | +0.0000 [+0.0000, +0.0000] |  | 1.000 |" in done.output
    assert "| R | +0.0000 [+0.0000, +0.0000] | 0 / 0 | 1.000 |" in done.output
    assert "| sequence | Ours A | Ours R | again A | again R |" in done.output
    assert "vot2020 unsupervised, one run per sequence" in done.output
    done = command(place, "--dataset", "vot2020lt", *options[:2], "--per", "colour")
    assert isinstance(done.exception, ConfigError)
    assert "must be sequence or attribute, got 'colour'" in str(done.exception)


def test_vot_results_are_reported_per_tag_of_the_workspace_or_per_attribute_of_the_boxes(
    command, oracle_program, tmp_path
):
    oracle_program("oracle_vot").write_workspace(tmp_path / "ws")
    place, options = tmp_path / "ws" / "results" / "Ours", ["--form", "markdown", "--per", "attribute"]
    for dataset, heading in (
        ("vot2020", "Ours EAO | Ours A | Ours R"),
        ("vot2020lt", "Ours Pr | Ours Re | Ours F"),
    ):
        done = command(place, "--dataset", dataset, "--annotations", tmp_path / "ws", *options)
        assert f"| attribute (sequences) | {heading} |" in done.output, done.exception
        assert "| absence (1) |" in done.output
    (tmp_path / "ws/sequences/boxes/occlusion.tag").write_text("0\n" * 20 + "1\n" * 7)
    done = command(place, "--dataset", "vot2020", "--annotations", tmp_path / "ws", *options)
    assert "vot2020 baseline, per tag over its frames" in done.output
    assert "| tag (frames) | Ours A | Ours R |" in done.output
    assert "| occlusion (7) | " in done.output
    assert "attribute (sequences)" not in done.output


@pytest.mark.shared
def test_lasot_is_reported_from_its_zip(command, lasot_zip, simulate, tmp_path):
    annotations = scored_sequences(open_truth("lasot", lasot_zip))[:20]
    (tmp_path / "ours").mkdir()
    (tmp_path / "names.txt").write_text("\n".join(a.name for a in annotations))
    for seed, annotation in enumerate(annotations):
        boxes = simulate(annotation.boxes_xywh, seed)
        np.savetxt(tmp_path / "ours" / f"{annotation.name}.txt", boxes, fmt="%.2f", delimiter="\t")
    done = command(
        tmp_path / "ours", "--dataset", "lasot", "--annotations", lasot_zip,
        "--sequences", tmp_path / "names.txt", "--form", "csv", "--dialect", "lasot",
    )  # fmt: skip
    assert done.exit_code == 0, done.exception
    assert done.output.splitlines()[1].startswith("ours,")


def test_an_unknown_data_set_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"got 'lasott'; did you mean 'lasot'\?"):
        check_known("lasott")


def test_every_long_term_set_of_vot_is_known():
    assert set(LONG_TERM) <= set(KNOWN) and len(set(NAMES)) == len(NAMES)
    assert "vot_longterm" in LONG_TERM
