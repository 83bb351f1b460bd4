"""Experiments of the literature on learning, on the golden model and on hardware. Described in ``docs/learning_experiments.md``."""
