import pytest

from starktrack.errors import InputError
from starktrack.studio.launch import serve


@pytest.mark.parametrize(("name", "message"), [("a.csv", "the file 'a.csv'"), ("no.mp4", "is not there")])
def test_what_is_no_video_is_refused_before_the_server_starts(tmp_path, name, message):
    (tmp_path / "a.csv").write_text("frame,x\n")
    with pytest.raises(InputError, match=rf"the studio opens a video or a folder, got .*{message}"):
        serve(tmp_path / name, open_browser=False)
