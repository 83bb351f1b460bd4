"""Trained networks, the scripts that trained them, and what can be done with them."""
