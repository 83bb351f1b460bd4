"""``python -m spikeloom``: the same as the ``spikeloom`` command."""

from spikeloom.cli.main import main

if __name__ == "__main__":
    main()
