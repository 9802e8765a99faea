"""What trackers said, on disk: boxes, tracks, outlines, and a campaign's folder."""
