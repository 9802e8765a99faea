"""What trackers said, on disk: boxes, tracks and outlines, and the folder that a campaign leaves."""
