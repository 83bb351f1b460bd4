"""Behaviours of single TrueNorth neurons, as a table, a picture, and proof on generated hardware. Described in ``docs/profiles.md``."""
