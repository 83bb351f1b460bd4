"""Simulation of the generated Verilog: lockstep with the golden model, and the ``rtl`` chip."""
