"""The frameworks that the paper compares with its own and rejects (section 4.5, Table 8)."""
