"""Random numbers of a core: constants of the function that golden model and hardware both compute. Described in ``docs/random.md``."""

from __future__ import annotations

#: Added to the key each tick, modulo 2**32: the golden ratio's fraction, so that keys of near ticks differ in many bits.
KEY_STEP = 0x9E3779B9
#: Index of the random number of axon a is ``ROW_INDEX + a``; that of neuron n is n.
ROW_INDEX = 1 << 31
#: Constants of the mixing function (Jenkins 2007, "6-shift" integer hash), in the order of its six steps.
MIX = (0x7ED55D16, 0xC761C23C, 0x165667B1, 0xD3A2646C, 0xFD7046C5, 0xB55A4F09)
#: Shifts of the six steps.
MIX_SHIFTS = (12, 19, 5, 9, 3, 16)
#: Low coefficients of the irreducible polynomial x**16 + x**5 + x**3 + x + 1, over which numbers of a row are spread to neurons.
FIELD_POLYNOMIAL = 0x2B
#: Bits of that field's elements.
FIELD_BITS = 16
#: Bits of the number that a stochastic synapse or leak is compared with.
UNIT_BITS = 8
