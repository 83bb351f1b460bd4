"""Handwritten digits of scikit-learn."""
