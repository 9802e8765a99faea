"""Explanations of a network's output: attention, corner maps, and pictures of them."""
