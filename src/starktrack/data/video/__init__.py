"""Pictures in and out: video files, cameras, streams, still images; `data.frames` is the door to them."""
