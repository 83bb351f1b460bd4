"""The twenty firing behaviours of Izhikevich (2004), as stimuli, a floating-point reference and automatic checks."""
