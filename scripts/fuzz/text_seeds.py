"""Honest annotations, data folders, results, recipes and projects, to be damaged."""

import json
import struct
import tempfile
from pathlib import Path

from scripts.fuzz.runner import Files
from scripts.fuzz.seeds import ROOT, pictures


def _files_below(place: Path) -> Files:
    if place.is_file():
        return {place.name: place.read_bytes()}
    return {
        path.relative_to(place.parent).as_posix(): path.read_bytes()
        for path in sorted(place.rglob("*"))
        if path.is_file()
    }


def annotations() -> dict[str, Files]:
    """Return a file or folder in every format of annotations: written by us, and by other tools."""
    from starktrack import interchange
    from starktrack.interchange.registry import FORMATS
    from starktrack.interchange.tracks import Mask, Observation, Polygon, Rectangle, Track, VideoTracks

    shapes = (
        Rectangle((1.0, 2.0, 5.0, 6.0)),
        Rectangle((3.0, 2.0, 5.0, 6.0), 30.0),
        Polygon(((1.0, 1.0), (8.0, 2.0), (5.0, 9.0))),
        Mask((2, 3), (3, 2), (1, 4, 1)),
    )
    observations = tuple(
        Observation(
            i, shape, seconds=i / 8, score=0.5, visibility=0.5, occluded=bool(i % 2), attributes={"a": "b"}
        )
        for i, shape in enumerate(shapes)
    )
    video = VideoTracks(
        (Track(0, "duck", observations, "#ff0000"), Track(3, "cup", observations[:2])),
        "clip",
        (16, 32),
        6,
        25.0,
    )
    made: dict[str, Files] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, target in FORMATS.items():
            place = Path(folder) / f"{name}{target.suffixes[0]}"
            written = interchange.write(place, video, name)
            made[f"{name}:{place.name}"] = {k: v for path in written for k, v in _files_below(path).items()}
    for place in sorted((ROOT / "tests" / "interchange" / "files").iterdir()):
        made[f":{place.name}"] = _files_below(place)
    return made


def data_sets() -> dict[str, Files]:
    """Return a miniature of every layout of data that `starktrack data check` knows."""
    import cv2

    frames = [cv2.imencode(".png", image)[1].tobytes() for image in pictures(3)]
    jpegs = [cv2.imencode(".jpg", image)[1].tobytes() for image in pictures(3)]
    labels = cv2.imencode(".png", pictures(1)[0][..., 0] % 3)[1].tobytes()
    boxes = b"1,2,5,6\n2,2,5,6\n3,2,5,6\n"
    eight = {f"{i:08d}.jpg": content for i, content in enumerate(jpegs, 1)}
    four = {f"{i:04d}.jpg": content for i, content in enumerate(jpegs, 1)}
    five = {f"{i:05d}.jpg": content for i, content in enumerate(jpegs)}

    def below(folder: str, files: Files) -> Files:
        return {f"{folder}/{name}": content for name, content in files.items()}

    coco = {
        "images": [{"id": 1, "file_name": "a.png", "width": 32, "height": 16}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 9, 8], "area": 40, "iscrowd": 0,
             "segmentation": [[1, 2, 9, 2, 9, 8]]},
            {"id": 2, "image_id": 1, "category_id": 1, "bbox": [1, 2, 9, 8],
             "segmentation": {"size": [16, 32], "counts": [40, 5, 11, 5, 451]}},
            {"id": 3, "image_id": 1, "category_id": 1, "bbox": [1, 2, 9, 8],
             "segmentation": {"size": [16, 32], "counts": "8P1"}},
        ],
        "categories": [{"id": 1, "name": "cup"}],
    }  # fmt: skip
    tracks = [
        {"clip": "clip", "tracks": [{"label": "a", "boxes": [[1, 2, 5, 6], None, [3, 2, 5, 6]], "first": 0}]}
    ]
    regions = b"m5,3,4,2,1,2,3,1,1\n1,2,4,2,4,7,1,6\n1.5,2,3,4\n"
    made: dict[str, Files] = {
        "otb": {**below("Basketball/img", four), "Basketball/groundtruth_rect.txt": boxes},
        "lasot": {
            **below("cat/cat-1/img", eight),
            "cat/cat-1/groundtruth.txt": boxes,
            "cat/cat-1/full_occlusion.txt": b"0,0,1",
            "cat/cat-1/out_of_view.txt": b"0,0,0",
        },
        "got10k": {
            **below("val/GOT-10k_Val_000001", eight),
            "val/list.txt": b"GOT-10k_Val_000001\n",
            "val/GOT-10k_Val_000001/groundtruth.txt": boxes,
            "val/GOT-10k_Val_000001/absence.label": b"0\n0\n1\n",
            "val/GOT-10k_Val_000001/cover.label": b"8\n8\n0\n",
            "val/GOT-10k_Val_000001/meta_info.ini": b"[METAINFO]\nurl: u\nobject_class: fox\nresolution: (32, 16)\n",
        },
        "trackingnet": {
            **below("TRAIN_0/frames/abc_0", {f"{i}.jpg": content for i, content in enumerate(jpegs)}),
            "TRAIN_0/anno/abc_0.txt": boxes,
        },
        "vot": {
            **below("sequences/ball/color", eight),
            "sequences/list.txt": b"ball\n",
            "sequences/ball/groundtruth.txt": regions,
            "sequences/ball/sequence": b"width=32\nheight=16\nchannels.color=color/%08d.jpg\nfps=30\n",
            "sequences/ball/camera_motion.tag": b"0\n1\n0\n",
            "sequences/ball/anchor.value": b"1\n0\n-1\n",
        },
        "coco": {
            "annotations/instances_train2017.json": json.dumps(coco).encode(),
            "images/train2017/a.png": frames[0],
        },
        "davis": {
            **below("JPEGImages/480p/bear", five),
            **{f"Annotations/480p/bear/{i:05d}.png": labels for i in range(3)},
            "ImageSets/2017/train.txt": b"bear\n",
        },
        "tracks": {
            **{f"frames/clip/{i:06d}.png": content for i, content in enumerate(frames)},
            **{f"clip/{i:06d}.png": content for i, content in enumerate(frames)},
            "tracks.json": json.dumps(tracks).encode(),
        },
        "mot": {**below("clip", {f"{i:06d}.png": content for i, content in enumerate(frames, 1)}),
                "clip.txt": b"1,1,1,2,5,6\n2,1,2,2,5,6\n3,1,3,2,5,6\n"},
        "uav123": {
            **below("data_seq/UAV123/bike1", {f"{i:06d}.jpg": content for i, content in enumerate(jpegs, 1)}),
            "anno/UAV123/bike1.txt": boxes,
        },
        "nfs": {**below("airboard_1/30/airboard_1", five), "airboard_1/30/airboard_1.txt":
                b"0 1 2 9 8 1 0 0 0 airboard\n" * 3},
        "tc128": {**below("Temple/img", four), "Temple/Temple_gt.txt": boxes, "Temple/Temple_frames.txt": b"1,3\n"},
        "tlp": {**below("Alladin/img", five), "Alladin/groundtruth_rect.txt":
                b"1,1,2,5,6,0\n2,1,2,5,6,0\n3,1,2,5,6,1\n"},
        "videos": {**below("clip", eight), "clip/groundtruth.txt": boxes},
    }  # fmt: skip
    return made


def results() -> dict[str, Files]:
    """Return result files of every form: boxes, tracks, and those of the VOT toolkit as text and bytes."""
    csv = b"frame,seconds,target,x,y,w,h,score,template_updated,state\n" + b"".join(
        b"%d,0.0,0,1,2,3,4,0.5,false,tracked\n" % i for i in range(3)
    )
    rows = (
        "[\n"
        + ",\n".join(json.dumps({"frame": i, "target": 0, "box": [1, 2, 3, 4]}) for i in range(3))
        + "\n]"
    )
    binary = struct.pack("<HI", 1, 4) + b"\0" + struct.pack("<I", 1) + b"\1" + struct.pack("<4f", 1, 2, 3, 4)
    binary += b"\2" + struct.pack("<H6f", 3, 1, 2, 4, 2, 4, 7)
    binary += b"\3" + struct.pack("<2h3H5H", 5, 3, 4, 2, 5, 1, 2, 3, 1, 1)
    return {
        "boxes.txt": {"boxes.txt": b"1,2,3,4\n5\t6\t7\t8\nnan,nan,nan,nan\n" * 3},
        "tracks.csv": {"tracks.csv": csv},
        "tracks.json": {"tracks.json": rows.encode()},
        "regions.txt": {"regions.txt": b"1\nm5,3,4,2,1,2,3,1,1\n1,2,4,2,4,7,1,6\n1.5,2,3,4\n0\n"},
        "regions.bin": {"regions.bin": binary},
        "folder": {
            "data/Basketball/groundtruth_rect.txt": b"1,2,5,6\n2,2,5,6\n3,2,5,6\n",
            "results/Basketball.txt": b"1,2,5,6\n2,2,5,6\n3,2,5,6\n",
            "results/Basketball_time.txt": b"0.1\n0.1\n0.1\n",
        },
        "run": {"results/run.json": b'{"tracker": {"name": "a"}, "dataset": "otb"}'},
    }


def recipes() -> dict[str, Files]:
    """Return recipes in TOML and JSON, and settings as `key=value`."""
    from starktrack.config.loading import to_mapping
    from starktrack.config.recipes import read_recipe, recipe_names

    made: dict[str, Files] = {}
    for place in sorted((ROOT / "src" / "starktrack" / "recipes").glob("*.toml")):
        made[place.name] = {"recipe.toml": place.read_bytes()}
    made["run"] = {"recipe.json": json.dumps(to_mapping(read_recipe(recipe_names()[-1]))).encode()}
    made["small"] = {"recipe.toml": b'base = "s50"\n[optim]\nlr = 1e-4\n[run]\nbatch_size = 16\nsteps = 4\n'}
    settings = (
        "model.search.side=256\nmodel.backbone.name=resnet18\ntracking.update_interval=10\nmodel.num_templates=2\n"
        "tracking.lost_after=3\nname=mine\nmodel.transformer.width=64\nmodel.box_head.kind=corner\nmodel={}\nmodel.x=[1]"
    )
    made["settings"] = {"settings.txt": settings.encode()}
    return made


def studio() -> dict[str, Files]:
    """Return messages, requests, uploads and projects for the studio, beside a clip."""
    from scripts.fuzz.seeds import _clip

    with tempfile.TemporaryDirectory() as folder:
        clip = _clip(Path(folder) / "clip.mp4", "libx264", pictures(6))
    box = [1, 2, 5, 6]
    messages = [
        {"action": "add_target", "number": 1, "frame": 0, "box_xywh": box, "name": "a", "colour": "#ff0000"},
        {"action": "set_box", "number": 2, "target": 0, "frame": 3, "box_xywh": box},
        {"action": "interpolate", "number": 3, "target": 0, "first": 0, "last": 3},
        {"action": "mark_absent", "number": 4, "target": 0, "frame": 4},
        {
            "action": "track",
            "number": 5,
            "targets": [0],
            "frame": 0,
            "direction": "forward",
            "to_next_key": False,
        },
        {"action": "next_doubtful", "number": 6, "after": 0},
        {"action": "stop", "number": 7},
        {"action": "split", "number": 8, "target": 0, "frame": 2},
        {"action": "rename", "number": 9, "target": 0, "name": "b", "colour": "#00ff00"},
        {"action": "join", "number": 10, "target": 0, "other": 1},
        {"action": "accept", "number": 11, "target": 0, "first": 0, "last": 5},
        {"action": "clear", "number": 12, "target": 0, "first": 1, "last": 2},
        {"action": "undo", "number": 13},
        {"action": "redo", "number": 14},
        {"action": "delete_target", "number": 15, "target": 0},
    ]
    requests = [
        {"path": "/api/folder", "query": {"path": ""}},
        {"path": "/api/video", "query": {"path": "clip.mp4"}},
        {"path": "/api/frame", "query": {"path": "clip.mp4", "index": "1", "width": "16"}},
        {"path": "/api/export", "query": {"path": "clip.mp4", "format": "csv"}},
        {"path": "/static/model.js", "query": {}},
        {"path": "/api/upload", "query": {"name": "new.mp4"}, "post": "x"},
        {
            "path": "/api/import",
            "query": {"path": "clip.mp4", "name": "a.csv"},
            "post": "frame,target,x,y,w,h\n0,0,1,2,3,4",
        },
    ]
    project = {
        "format": "starktrack studio", "version": 1, "video": "clip.mp4", "size_hw": [16, 32], "num_frames": 6,
        "next_id": 1,
        "targets": [{"id": 0, "name": "a", "colour": "#ff0000",
                     "entries": [[0, 1, 0, None, 1, 2, 5, 6], [1, 2, 1, 0.5, 1, 2, 5, 6]]}],
    }  # fmt: skip
    return {
        "messages": {"clip.mp4": clip, "messages.json": json.dumps(messages).encode()},
        "requests": {"clip.mp4": clip, "requests.json": json.dumps(requests).encode()},
        "project": {"clip.mp4": clip, "clip.mp4.starktrack.json": json.dumps(project).encode()},
        "upload": {"clip.mp4": clip},
    }


def manifests() -> dict[str, Files]:
    """Return manifests of `starktrack batch` in every form."""
    header = b"video,boxes,start,end,direction,label,id\n"
    rows = b'a/dog.mp4,"231,38.5,59,47",,,,,\nb/cat.mp4,"1,2,3,4; 5,6,7,8",9,20,backward,cat,c\n'
    lines = (
        b'{"video": "a/dog.mp4", "boxes": "231,38.5,59,47"}\n'
        b'{"video": "s3://b/cat.mp4", "boxes": "1,2,3,4; 5,6,7,8", "start": 9, "direction": "backward", "id": "c"}\n'
    )
    made = {"m.csv": header + rows, "m.jsonl": lines}
    try:
        from pyarrow import BufferOutputStream, Table, parquet
    except ImportError:  # the form needs an optional package
        pass
    else:
        sink = BufferOutputStream()
        parquet.write_table(
            Table.from_pylist([{"video": "a/dog.mp4", "boxes": "231,38.5,59,47", "start": 3}]), sink
        )
        made["m.parquet"] = sink.getvalue().to_pybytes()
    return {name: {name: content} for name, content in made.items()}
