"""Boxes over time: the tracker's state, and what it asks of a network."""
