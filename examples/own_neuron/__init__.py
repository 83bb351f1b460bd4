"""A neuron model of one's own: see ``docs/neuron.md``."""
