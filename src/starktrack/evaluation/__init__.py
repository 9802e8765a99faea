"""Scores of trajectories against annotations, in the dialect of each toolkit."""
