"""Visual tracking with STARK."""
