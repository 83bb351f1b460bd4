"""Boards: from Verilog to resource and timing reports and bitstreams, with yosys and nextpnr from PyPI."""
