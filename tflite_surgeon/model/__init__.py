"""A model as objects that refer to objects: reading, saving, copying, comparing and asking about it."""
