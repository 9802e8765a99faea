"""Pictures painted over pictures: video made from stills, and what else a search region is made to show."""
