"""The rules whose breaches the walk through a model finds: what they are about and what to do."""
