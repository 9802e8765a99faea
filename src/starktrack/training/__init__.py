"""Losses, optimiser, the one visible loop, and what it needs to resume."""
