"""What the command does, as functions: evaluation, reports, training, export and VOT runs."""
