"""Boxes, and the one map between image and crop."""
