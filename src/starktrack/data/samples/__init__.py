"""Training samples: drawn frames, crops, distractors, augmentations, and batches."""
