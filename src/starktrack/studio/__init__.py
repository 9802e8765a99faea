"""The studio: a page in a browser to point at targets, watch them tracked, correct and export the tracks."""
