"""The command: one file per verb, which parses, calls a workflow and prints."""
