"""Networks with fewer bits; the records and limits alone, then the tracker of the package on made clips."""

import json

import numpy as np
import pytest

from starktrack.config.precision import PRECISION_KEY, check_precision, precision_record
from starktrack.data.synthetic.clip import synthetic_clip
from starktrack.data.video.writer import VideoWriter
from starktrack.errors import CheckpointError, ConfigError, InputError
from starktrack.pretrained import pretrained_weights
from starktrack.workflows.clips import open_clips
from starktrack.workflows.export import export_with_fewer_bits
from starktrack.workflows.reduced_export import LIMITS, ClipCheck, TrackingCheck


def check(*clips):
    return TrackingCheck(tuple(ClipCheck(f"clip{index}", 10, *clip) for index, clip in enumerate(clips)))


@pytest.mark.parametrize(
    ("clips", "problems"),
    [
        ([(0.95, None)], []),
        ([(0.95, (60.0, 59.1)), (0.9, None)], []),
        ([(0.95, (60.0, 58.9))], ["success falls from 60.0 to 58.9, by more than 1.0 points"]),
        ([(0.89, None)], ["boxes overlap those in float32 by 0.890, not 0.9"]),
        ([(0.99, None)] * 9 + [(0.45, None)], ["by 0.450 in clip9, not 0.5"]),
        ([(np.nan, None)], ["boxes overlap those in float32 by nan, not 0.9", "by nan in clip0, not 0.5"]),
    ],
)
def test_the_limits_are_means_over_clips_and_the_worst_of_them(clips, problems):
    assert check(*clips).problems(LIMITS) == problems


def test_success_is_that_of_the_annotated_clips():
    assert check((1.0, (60.0, 50.0)), (0.5, None), (1.0, (80.0, 80.0))).success == (70.0, 65.0)
    assert check((1.0, None)).success is None


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Return a video without annotations, and a folder of one annotated sequence."""
    folder = tmp_path_factory.mktemp("clips")
    clip = list(synthetic_clip(12, size_hw=(120, 160)))
    with VideoWriter(folder / "clip.mp4", (120, 160), 30.0) as writer:
        for frame in clip:
            writer.write(frame.image)
    from starktrack.data.video.image_files import write_image

    sequence = folder / "data" / "one"
    sequence.mkdir(parents=True)
    for number, frame in enumerate(clip, start=1):
        write_image(sequence / f"{number:08d}.jpg", frame.image)
    np.savetxt(sequence / "groundtruth.txt", [frame.box_xywh for frame in clip], delimiter=",")
    return str(folder / "clip.mp4"), str(folder / "data")


def test_clips_come_from_videos_and_from_data_sets(places):
    video, annotated = open_clips(list(places))
    assert video.name == "clip.mp4" and video.true_xywh is None
    assert video.start_xywh.tolist() == [60, 45, 40, 30]
    assert annotated.name == "videos/one" and annotated.true_xywh.shape == (12, 4)
    for clip in (video, annotated):
        assert [image.shape for image in clip.images()] == [(120, 160, 3)] * 12


EXPORTED = pretrained_weights("stark_mobile", "onnx")


@pytest.mark.parametrize("precision", ["int8", "float16"])
def test_a_network_with_fewer_bits_says_how_it_was_checked(places, tmp_path, monkeypatch, precision):
    pytest.importorskip("nncf")
    import onnx

    from starktrack.engines.onnx_engine import open_onnx
    from starktrack.workflows import reduced_export

    if precision == "int8":  # four frames do not make good ranges
        monkeypatch.setattr(reduced_export, "NUM_SAMPLES", 4)
        monkeypatch.setattr(reduced_export, "LIMITS", reduced_export.Limits(0.0, 0.0, 100.0))
    target, seen = tmp_path / "reduced.onnx", []
    found = export_with_fewer_bits("stark_mobile", target, precision, places, on_clip=seen.append)
    assert len(found.clips) == 2 and 0 <= found.mean_overlap <= 1
    assert seen == [
        f"{name} in {kind}" for kind in ("float32", precision) for name in ("clip.mp4", "videos/one")
    ]
    metadata = {each.key: each.value for each in onnx.load(target).metadata_props}
    record = json.loads(metadata[PRECISION_KEY])
    assert record["precision"] == precision and record["limits"]["lost_success"] in (1.0, 100.0)
    assert [clip["name"] for clip in record["clips"]] == ["clip.mp4", "videos/one"]
    assert record["success"] == list(found.success)
    assert target.stat().st_size < 0.6 * EXPORTED.stat().st_size
    engine = open_onnx(target, precision=precision)
    assert engine.runtime.precision == precision and engine.config == open_onnx(EXPORTED).config
    with pytest.raises(CheckpointError, match=f"needs a file in float32, .* is {precision}; give the file"):
        open_onnx(target, precision="float32")
    types = {node.op_type for node in onnx.load(target).graph.node}
    assert ("DequantizeLinear" in types) == (precision == "int8")


def test_nothing_is_written_below_a_limit(places, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime.transformers.float16")
    from starktrack.workflows import reduced_export

    monkeypatch.setattr(reduced_export, "LIMITS", reduced_export.Limits(mean_overlap=1.01))
    with pytest.raises(
        CheckpointError, match=r"must track as the one in float32 does, but .* was not written"
    ):
        export_with_fewer_bits(EXPORTED, tmp_path / "small.onnx", "float16", places[:1])
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_reduced_is_refused_at_once(tmp_path):
    target = tmp_path / "out.onnx"
    with pytest.raises(InputError, match="int8 needs clips to be checked on, got none"):
        export_with_fewer_bits("stark_mobile", target, "int8", [])
    with pytest.raises(ConfigError, match="bfloat16 needs no file of its own"):
        export_with_fewer_bits("stark_mobile", target, "bfloat16", [])
    with pytest.raises(ConfigError, match="stark_s50 has none in the package"):
        export_with_fewer_bits("stark_s50", target, "int8", [])


def test_the_record_in_a_file_must_be_ours(tmp_path):
    path = tmp_path / "x.onnx"
    assert precision_record({}, path) == {"precision": "float32"}
    for text in ("{", "[]", '{"precision": "int3"}', '{"precision": "auto"}', '{"precision": []}'):
        with pytest.raises(CheckpointError, match=r"of .*x\.onnx must"):
            precision_record({PRECISION_KEY: text}, path)


def test_precisions_and_files_that_go_together(tmp_path):
    path = tmp_path / "x.onnx"
    assert check_precision(path, "auto", "int8", engine="openvino") == "int8"
    assert check_precision(path, "bfloat16", "float32", engine="openvino") == "bfloat16"
    with pytest.raises(CheckpointError, match=r"bfloat16 needs a network in float32, .* is int8"):
        check_precision(path, "bfloat16", "int8", engine="openvino")
    with pytest.raises(ConfigError, match=r"a precision must be one of auto, float32, .* got 'int4'"):
        check_precision(path, "int4", "float32", engine="onnx")
    with pytest.raises(
        ConfigError, match=r"int8 is a precision of exported networks, .* is a checkpoint; run"
    ):
        check_precision(path, "int8", "float32", engine="torch")
