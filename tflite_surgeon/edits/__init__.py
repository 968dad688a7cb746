"""Repairs and surgery: edits are planned, applied to a copy and proven."""
