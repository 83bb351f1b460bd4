"""The driver: one interface to chips of every kind."""
