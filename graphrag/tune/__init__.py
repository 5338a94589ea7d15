"""Tune small models: the method registry, the training loop, and what is written about a run."""
