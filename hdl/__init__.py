"""Amaranth components: one for each block of the golden model, and what connects them to the outside."""
