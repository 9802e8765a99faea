"""The command: one file per verb; each only composes."""
