"""Reads and writes pictures: files, cameras, streams; `data.frames` is the interface for readers."""
