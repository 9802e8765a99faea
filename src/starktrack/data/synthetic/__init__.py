"""Video made from still pictures, and what else a search region is made to show."""
