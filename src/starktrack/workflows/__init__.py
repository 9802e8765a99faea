"""The command's verbs as functions: evaluation, reports, training, export and VOT runs."""
