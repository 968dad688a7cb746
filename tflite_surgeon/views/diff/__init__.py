"""What differs between two models, matched by structure: an operator more is one difference, wherever it stands."""
