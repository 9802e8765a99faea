"""Trackers: their state, and the interface of the networks that they use."""
