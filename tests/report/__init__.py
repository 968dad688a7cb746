"""Reports: what programs read."""
