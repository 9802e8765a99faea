"""Networks: crops in, boxes and scores out; no state."""
