"""What trackers said, on disk: boxes, tracks, outlines, and the folder of a run."""
