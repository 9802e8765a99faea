"""Every public name has an example in its docstring, and every example in the package runs."""

import doctest
import inspect
import re
import shutil
import sys
import types
import typing
from importlib import import_module
from pathlib import Path

import pytest

import starktrack
from starktrack import interchange
from starktrack.pretrained import pretrained_weights

PACKAGE = Path(starktrack.__file__).parent
MODULES = sorted(
    ".".join(("starktrack", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)

TINY = """
config = "stark_mobile"

[run]
batch_size = 2
micro_batch = 2
samples_per_epoch = 2
imagenet = false

[datasets.own]
source = "videos"
split = "all"
root = "."

[stages.localise]
epochs = 1

[stages.localise.loss]
centre = 0.5

[stages.localise.data.sampling]
min_length = 5

[stages.localise.data.loader]
num_workers = 0
"""
"""A recipe that takes one step."""


@pytest.fixture
def example_folder(tmp_path, monkeypatch, request):
    """A folder with the files that examples name, and a hub without a network."""
    from starktrack.data.synthetic.clip import synthetic_clip
    from starktrack.data.video.image_files import write_image
    from starktrack.data.video.writer import VideoWriter

    with VideoWriter(tmp_path / "dog.mp4", (240, 320), 25.0) as writer:
        for frame in synthetic_clip(3, size_hw=(240, 320)):
            writer.write(frame.image, None)
    frames = tmp_path / "data" / "otb" / "Dog" / "img"
    results = tmp_path / "results" / "ours"
    recording = tmp_path / "data" / "dog"
    for folder in (frames, results, recording):
        folder.mkdir(parents=True)
    boxes = []
    for number, frame in enumerate(synthetic_clip(12, size_hw=(96, 128)), start=1):
        for path in (frames / f"{number:04d}.jpg", recording / f"{number:08d}.jpg"):
            write_image(path, frame.image)
        boxes.append(",".join(f"{value:.2f}" for value in frame.box_xywh))
    for path in (frames.parent / "groundtruth_rect.txt", results / "Dog.txt", recording / "groundtruth.txt"):
        path.write_text("\n".join(boxes) + "\n")
    (tmp_path / "tiny.toml").write_text(TINY)
    weights = pretrained_weights("stark_mobile", "onnx")
    shutil.copy(weights, tmp_path / "stark_mobile.onnx")
    hub = types.ModuleType("huggingface_hub")
    hub.errors = types.SimpleNamespace(HfHubHTTPError=OSError, HFValidationError=ValueError)
    hub.hf_hub_download = lambda *_, **__: str(tmp_path / "stark_mobile.onnx")
    hub.create_repo = lambda *_, **__: None
    hub.upload_file = lambda *, repo_id, **_: f"https://huggingface.co/{repo_id}/commit/1"
    if "submit" in request.node.name:
        write_test_set(tmp_path)
    if "convert" in request.node.name:
        import torch

        state = request.getfixturevalue("official_state")("stark_lightning")
        torch.save({"net": state}, tmp_path / "STARKLightning_ep0500.pth.tar")
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    monkeypatch.chdir(tmp_path)


def write_test_set(folder):
    """Write first boxes of GOT-10k's test set as `data/got10k`, and results as `results/test`."""
    results = folder / "results" / "test"
    results.mkdir(parents=True)
    for number in range(1, 181):
        name = f"GOT-10k_Test_{number:06d}"
        (folder / "data" / "got10k" / name).mkdir(parents=True)
        (folder / "data" / "got10k" / name / "groundtruth.txt").write_text("1,2,3,4\n")
        (results / f"{name}.txt").write_text("1,2,3,4\n1,2,3,4\n")
        (results / f"{name}_time.txt").write_text("0.1\n0.1\n")


def examples_of(thing, name, module):
    found = doctest.DocTestFinder().find(thing, name, module=module)
    return [test for test in found if test.examples]


def run(tests):
    report = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in tests:
        runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)
    return runner.tries


PUBLIC = [
    (module, name)
    for module in (starktrack, interchange)
    for name in module.__all__
    if callable(getattr(module, name))
]
"""The functions and classes of the modules that the API reference documents; values have no docstring of their own."""


def test_the_reference_documents_the_modules_that_need_examples():
    pages = (Path(__file__).resolve().parents[2] / "docs" / "reference").glob("*.md")
    documented = {
        name
        for page in pages
        for name in re.findall(r"<!-- reference: ([\w.]+) -->", page.read_text("utf-8"))
    }
    assert {module.__name__ for module, _ in PUBLIC} == documented - {"command"}
    assert len(PUBLIC) > 50


@pytest.mark.parametrize(
    ("module", "name"), PUBLIC, ids=[f"{module.__name__}.{name}" for module, name in PUBLIC]
)
def test_every_public_name_has_an_example(module, name):
    thing = getattr(module, name)
    tests = examples_of(thing, name, import_module(thing.__module__))
    assert name in [test.name for test in tests]
    assert not [each for test in tests for each in test.examples if each.options.get(doctest.SKIP)]


def signatures_of(thing):
    """Yield the signature of a function, or those of the public methods and properties of a class."""
    if inspect.isfunction(thing):
        yield inspect.signature(thing)
    elif inspect.isclass(thing):
        for name, member in vars(thing).items():
            method = getattr(member, "fget", None) or getattr(member, "__func__", member)
            if inspect.isfunction(method) and not name.startswith("_"):
                yield inspect.signature(method)


def classes_in(annotation):
    if inspect.isclass(annotation) and annotation.__module__.startswith("starktrack."):
        yield annotation
    for part in typing.get_args(annotation):
        yield from classes_in(part)


def test_what_public_names_take_and_return_is_public():
    public = {getattr(module, name) for module, name in PUBLIC}
    named = {
        each
        for thing in public
        for signature in signatures_of(thing)
        for annotation in (
            signature.return_annotation,
            *(p.annotation for p in signature.parameters.values()),
        )
        for each in classes_in(annotation)
    }
    assert named - public == set()
    assert len(named) > 20


@pytest.mark.usefixtures("example_folder")
@pytest.mark.parametrize("name", MODULES)
def test_every_example_runs(name):
    if name in ("starktrack.detections", "starktrack.interchange.detections"):
        pytest.importorskip("supervision")
    module = import_module(name)
    tests = examples_of(module, name, module)
    skipped = [each for test in tests for each in test.examples if each.options.get(doctest.SKIP)]
    assert tests and (run(tests) > 0 or skipped)
