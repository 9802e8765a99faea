"""The steps of docs/finetune.md, on twelve frames and one training step."""

import re
import shutil
from pathlib import Path

from starktrack import interchange

PAGE = Path(__file__).parents[2] / "docs" / "finetune.md"


def commands():
    """Return the page's commands as lists of words, without the installation."""
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line.split()[1:] for line in lines if line.startswith("starktrack")]


def test_the_steps_of_the_page_run_in_a_small_form(starktrack, clip_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("pond.mp4", "pond2.mp4"):
        shutil.copy(clip_file, name)
    steps = commands()
    assert [step[0] for step in steps] == [
        "track", "annotations", "track", "data", "data", "data", "train", "evaluate", "export", "track",
    ]  # fmt: skip
    small = {"120,80,64,96": "40,30,20,24", "300,90,60,90": "70,20,30,18", "400": "8", "200": "8"}
    tiny = ["run.batch_size=2", "run.micro_batch=2", "run.samples_per_epoch=2", "run.precision=fp32"]
    tiny += ["stages.localise.epochs=1", "stages.localise.data.loader.num_workers=0", "run.picture_every=0"]
    for step in steps:
        words = [small.get(word, word) for word in step]
        done = starktrack(*words, *(tiny if step[0] == "train" else []))
        assert done.code == 0, (words, done.out, done.err)
        if step[0] == "annotations":
            tracked, thin = interchange.read("tracked.xml"), interchange.read("correct_me.xml")
            keys = [
                sum(seen.key for track in video.tracks for seen in track.observations)
                for video in (tracked, thin)
            ]
            assert keys[1] < keys[0] == 24
            shutil.copy("correct_me.xml", "corrected.xml")
        if step[0] == "evaluate":
            assert "before" in done.out and "after" in done.out
    assert sorted(path.name for path in Path("ducks/train").iterdir()) == ["pond_0", "pond_1"]
    assert len(interchange.read("pond2.csv").tracks[0]) == 12
