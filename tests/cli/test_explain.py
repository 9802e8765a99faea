import av
import cv2
import pytest

BOX = "40,30,20,24"


def test_explain_writes_a_film_a_strip_the_score_and_every_head(
    starktrack, clip_file, small_checkpoint, tmp_path
):
    out = tmp_path / "explained"
    done = starktrack(
        "explain", clip_file, "--box", BOX, "--weights", small_checkpoint, "--out", out, "--every", 5
    )
    assert done.code == 0, done.err
    assert "not shown" not in done.err
    assert f"wrote {out / 'explained.mp4'}, {out / 'strip.png'}, {out / 'score.png'}" in done.err
    # Eleven frames are searched; frames 1, 6 and 11 are pictured.
    names = [f"{index:06d}{kind}.png" for index in (1, 6, 11) for kind in ("", "-decoder", "-encoder")]
    assert sorted(path.name for path in (out / "frames").iterdir()) == sorted(names)
    with av.open(str(out / "explained.mp4")) as film:
        assert sum(1 for _ in film.decode(video=0)) == 11
    assert cv2.imread(str(out / "strip.png")).shape[0] > 3 * 100


def test_a_long_video_has_a_strip_of_few_rows(starktrack, clip_file, small_checkpoint, tmp_path):
    starktrack(
        "explain", clip_file, "--box", BOX, "--weights", small_checkpoint, "--out", tmp_path, "--every", 1
    )
    rows_of_nine = 6
    assert cv2.imread(str(tmp_path / "strip.png")).shape[0] < (rows_of_nine + 1) * 250


def test_what_the_network_does_not_have_is_said(starktrack, clip_file, small_model, tmp_path):
    from starktrack.config.schema import Config
    from starktrack.models.build import build_network
    from starktrack.models.weights import save_weights

    model = small_model("box_head.kind=mlp", "transformer.num_decoder_layers=0")
    weights = tmp_path / "bare.safetensors"
    save_weights(weights, build_network(model).state_dict(), Config(name="bare", model=model))
    done = starktrack("explain", clip_file, "--box", BOX, "--weights", weights, "--out", tmp_path / "out")
    assert done.code == 0
    assert (
        "not shown, bare has no such part: decoder attention (no decoder); corner maps (the box head has none); "
        "score (no score head)" in done.err
    )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "explained.mp4",
        "frames",
        "strip.png",
    ]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--position", "0.5"), "--position must be two numbers X,Y, got '0.5'"),
        (
            ("--position", "0.5,1.5"),
            "--position must lie in the search region, from 0,0 to 1,1, got '0.5,1.5'",
        ),
        (("--weights", "net.onnx"), "the torch engine cannot run net.onnx"),
        (("--out", "/dev/null/x"), "--out must be a folder that can be made"),
    ],
)
def test_what_cannot_be_done_is_refused(starktrack, clip_file, small_checkpoint, tmp_path, arguments, text):
    given = {"--weights": small_checkpoint, "--out": tmp_path, **dict([arguments])}
    done = starktrack("explain", clip_file, "--box", BOX, *(part for pair in given.items() for part in pair))
    assert done.code == 1 and text in done.err
