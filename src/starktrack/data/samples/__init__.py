"""Training samples: which frames, which crops of them, what else they show, how they look, and batches of them."""
