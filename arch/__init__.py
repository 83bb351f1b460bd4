"""Parameters, word layouts, memory map, registers and frames: the one source of every width and address."""
