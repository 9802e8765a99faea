"""Readers, one file per data set."""
