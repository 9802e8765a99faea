import pytest

from starktrack.data.sources import SOURCES, Dataset, open_dataset
from starktrack.errors import DatasetError


def test_unknown_names_and_splits_get_a_suggestion(build):
    with pytest.raises(DatasetError, match=r"unknown data set 'lasto'; did you mean 'lasot'\?"):
        open_dataset("lasto", build.root, "test")
    with pytest.raises(DatasetError, match=r"lasot has no split 'tset'; did you mean 'test'\?"):
        open_dataset("lasot", build.root, "tset")


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in ("coco", "davis", "vot")])
def test_an_empty_folder_is_an_error_and_no_endless_loop(build, name):
    with pytest.raises(DatasetError, match="holds no sequence of"):
        open_dataset(name, build.root, SOURCES[name].splits[0], allow_missing=True)


def test_a_video_data_set_is_a_dataset_and_refuses_unknown_names(build):
    build.got10k("cat")
    dataset = open_dataset("videos", build.root, "all")
    assert isinstance(dataset, Dataset)
    assert [sequence.name for sequence in dataset] == ["cat"]
    with pytest.raises(DatasetError, match=r"videos has no sequence 'cut' here; did you mean 'cat'\?"):
        dataset["cut"]
