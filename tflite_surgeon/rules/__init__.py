"""What is wrong with a model: rules that look and never touch."""
