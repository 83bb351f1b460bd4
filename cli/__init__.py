"""The ``spikeloom`` command."""
