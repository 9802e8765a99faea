"""Whether a target is still there: scores become a state, with hysteresis.

Not in the paper, which uses the score for template updates only.
"""

from dataclasses import dataclass

from starktrack.config.schema import TrackingConfig
from starktrack.data.track_output import TargetState


@dataclass(frozen=True)
class Presence:
    """The state of a target, and the number of latest frames with a low score.

    A target is lost once its score was below `lost_score` for `lost_after` frames in a row, and tracked again
    as soon as it reaches `tracked_score`. Between both thresholds a lost target stays lost and any other is
    uncertain.
    """

    state: TargetState = TargetState.TRACKED
    num_low: int = 0

    def after(self, score: float, settings: TrackingConfig) -> "Presence":
        """Return the presence after a frame with this score."""
        if score >= settings.tracked_score:
            return Presence()
        num_low = self.num_low + 1 if score < settings.lost_score else 0
        is_lost = self.state is TargetState.LOST or num_low >= settings.lost_after
        return Presence(TargetState.LOST if is_lost else TargetState.UNCERTAIN, num_low)
