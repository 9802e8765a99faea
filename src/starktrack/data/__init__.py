"""Frames, sequences, trajectories, data sets and batches."""
