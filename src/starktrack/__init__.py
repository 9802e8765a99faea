"""Point at anything in the first frame of a video; get its box in every later frame."""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from starktrack.api import from_pretrained as from_pretrained
    from starktrack.api import load as load
    from starktrack.api import push as push
    from starktrack.api import track as track
    from starktrack.config.schema import Config as Config
    from starktrack.config.schema import TrackingConfig as TrackingConfig
    from starktrack.data.frames import Frame as Frame
    from starktrack.data.frames import open_frames as open_frames
    from starktrack.data.track_output import TargetState as TargetState
    from starktrack.data.track_output import TrackedFrame as TrackedFrame
    from starktrack.data.track_output import TrackOutput as TrackOutput
    from starktrack.data.video.frame_stream import FrameStream as FrameStream
    from starktrack.data.video.live import LiveEvent as LiveEvent
    from starktrack.data.video.live import LiveEventKind as LiveEventKind
    from starktrack.data.video.live import LiveHealth as LiveHealth
    from starktrack.data.video.live import LiveSettings as LiveSettings
    from starktrack.data.video_sequence import FrameSource as FrameSource
    from starktrack.data.video_sequence import VideoSequence as VideoSequence
    from starktrack.detections import from_detections as from_detections
    from starktrack.detections import to_detections as to_detections
    from starktrack.errors import AnnotationError as AnnotationError
    from starktrack.errors import BoxError as BoxError
    from starktrack.errors import CheckpointError as CheckpointError
    from starktrack.errors import ConfigError as ConfigError
    from starktrack.errors import DatasetError as DatasetError
    from starktrack.errors import DeviceError as DeviceError
    from starktrack.errors import InputError as InputError
    from starktrack.errors import MissingExtraError as MissingExtraError
    from starktrack.errors import NothingUsableError as NothingUsableError
    from starktrack.errors import ResultFileError as ResultFileError
    from starktrack.errors import SourceWarning as SourceWarning
    from starktrack.errors import StarktrackError as StarktrackError
    from starktrack.errors import TrainingError as TrainingError
    from starktrack.errors import UnsafeCheckpointError as UnsafeCheckpointError
    from starktrack.errors import VideoBrokenError as VideoBrokenError
    from starktrack.errors import VideoError as VideoError
    from starktrack.tracking.batch_tracker import PluginTracker as PluginTracker
    from starktrack.tracking.protocol import BoxQueries as BoxQueries
    from starktrack.tracking.protocol import Engine as Engine
    from starktrack.tracking.protocol import Prediction as Prediction
    from starktrack.tracking.protocol import Refinement as Refinement
    from starktrack.tracking.protocol import Refiner as Refiner
    from starktrack.tracking.tracker import Tracker as Tracker
    from starktrack.workflows.batch import BatchRun as BatchRun
    from starktrack.workflows.batch import batch as batch
    from starktrack.workflows.convert import ConvertedCheckpoint as ConvertedCheckpoint
    from starktrack.workflows.convert import convert as convert
    from starktrack.workflows.evaluate import EvaluationRun as EvaluationRun
    from starktrack.workflows.evaluate import evaluate as evaluate
    from starktrack.workflows.explain import Explained as Explained
    from starktrack.workflows.explain import explain as explain
    from starktrack.workflows.export import ExportedNetwork as ExportedNetwork
    from starktrack.workflows.export import export as export
    from starktrack.workflows.profile import Profile as Profile
    from starktrack.workflows.profile import profile as profile
    from starktrack.workflows.report import Report as Report
    from starktrack.workflows.report import report as report
    from starktrack.workflows.submit import Submission as Submission
    from starktrack.workflows.submit import submit as submit
    from starktrack.workflows.trackers import TrackerSpec as TrackerSpec
    from starktrack.workflows.train import TrainingRun as TrainingRun
    from starktrack.workflows.train import train as train

_MODULES = {
    "api": ("from_pretrained", "load", "push", "track"),
    "config.schema": ("Config", "TrackingConfig"),
    "data.frames": ("open_frames",),
    "data.track_output": ("TargetState", "TrackOutput", "TrackedFrame"),
    "data.video.frame_stream": ("Frame", "FrameStream"),
    "data.video.live": ("LiveEvent", "LiveEventKind", "LiveHealth", "LiveSettings"),
    "data.video_sequence": ("FrameSource", "VideoSequence"),
    "detections": ("from_detections", "to_detections"),
    "errors": (
        "AnnotationError",
        "BoxError",
        "CheckpointError",
        "ConfigError",
        "DatasetError",
        "DeviceError",
        "InputError",
        "MissingExtraError",
        "NothingUsableError",
        "ResultFileError",
        "SourceWarning",
        "StarktrackError",
        "TrainingError",
        "UnsafeCheckpointError",
        "VideoBrokenError",
        "VideoError",
    ),
    "tracking.batch_tracker": ("PluginTracker",),
    "tracking.protocol": ("BoxQueries", "Engine", "Prediction", "Refinement", "Refiner"),
    "tracking.tracker": ("Tracker",),
    "workflows.batch": ("BatchRun", "batch"),
    "workflows.convert": ("ConvertedCheckpoint", "convert"),
    "workflows.evaluate": ("EvaluationRun", "evaluate"),
    "workflows.explain": ("Explained", "explain"),
    "workflows.export": ("ExportedNetwork", "export"),
    "workflows.profile": ("Profile", "profile"),
    "workflows.report": ("Report", "report"),
    "workflows.submit": ("Submission", "submit"),
    "workflows.trackers": ("TrackerSpec",),
    "workflows.train": ("TrainingRun", "train"),
}
_HOME = {name: f"starktrack.{module}" for module, names in _MODULES.items() for name in names}

__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]  names are exported by `as` above

if not TYPE_CHECKING:  # a type checker would take every name to exist, and to be Any

    def __getattr__(name: str) -> object:
        """Import a public name when it is first used, so that `starktrack --help` imports nothing heavy."""
        if name not in _HOME:
            raise AttributeError(f"module 'starktrack' has no attribute {name!r}")
        return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
