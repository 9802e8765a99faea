"""Pictures in and out: files, cameras, streams; readers ask `data.frames` for them."""
