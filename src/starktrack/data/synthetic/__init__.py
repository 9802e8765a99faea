"""Video made from still pictures, and changed search regions."""
