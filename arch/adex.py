"""Adaptive exponential integrate-and-fire neuron (AdEx; Brette and Gerstner 2005). Described in ``docs/adex.md``.

The model in its normal form, with the step of the integration folded into the parameters: potentials are counted in the factor of two
by which the exponential grows, and from the point where the exponential adds one such unit in a step. Then only
``v += 2**v - leak v - u + input`` and ``u += rate (coupling v - u)`` remain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from spikeloom.arch.layout import Field, IntArray
from spikeloom.arch.neuron import NeuronModel, check_int

#: Bits of a signed operand of a product: a multiplier of the iCE40 takes 16 by 16 bits.
OPERAND_BITS = 16
#: Bits before the binary point of the potential, with the sign: -128 to 127.99 units.
MEMBRANE_INTEGER_BITS = 8
#: Bits before the binary point of the adaptation current, with the sign: -8 to 7.99 units.
RECOVERY_INTEGER_BITS = 4
#: Fraction bits of the parameter ``leak``.
LEAK_FRACTION = 17
#: Fraction bits of the parameter ``coupling``.
COUPLING_FRACTION = 18
#: Fraction bits of the parameter ``rate``.
RATE_FRACTION = 19
#: Fraction bits of the entries of the table of powers of two.
TABLE_FRACTION = 16
#: Largest exponent; a potential above it is near the end of the range, and so is the next one.
MAX_EXPONENT = MEMBRANE_INTEGER_BITS - 1


def power_table(table_bits: int) -> tuple[int, ...]:
    """Table of powers of two, ``2**(k / 2**table_bits)`` rounded to ``TABLE_FRACTION`` fraction bits.

    Parameters
    ----------
    table_bits : int
        The table has ``2**table_bits`` intervals.

    Returns
    -------
    tuple of ``2**table_bits + 1`` int
        From ``2**TABLE_FRACTION`` to ``2**(TABLE_FRACTION + 1)``, both included.
    """
    intervals = 1 << table_bits
    return tuple(round(2.0 ** (TABLE_FRACTION + k / intervals)) for k in range(intervals + 1))


@dataclass(frozen=True, kw_only=True, slots=True)
class AdEx(NeuronModel):
    """Widths of an AdEx neuron.

    Parameters
    ----------
    membrane_bits : int
        Bits of the membrane potential, 18 to 24; ``MEMBRANE_INTEGER_BITS`` of them stand before the binary point.
    recovery_bits : int
        Bits of the adaptation current, 16 to 24 and at least ``membrane_bits - 4``; ``RECOVERY_INTEGER_BITS`` of them stand before the
        binary point.
    substeps : int
        Steps of the integration per tick, 1 to 16.
    input_shift : int
        The synaptic sum is multiplied by ``2**input_shift``, 0 to 16.
    bias_bits : int
        Bits of a constant current of each neuron of its own, 2 to ``membrane_bits``; 0 leaves it out.
    table_bits : int
        The table of powers of two has ``2**table_bits`` entries, 4 to 8; it is interpolated below 8.
    """

    NAME: ClassVar[str] = "adex"
    GOLDEN: ClassVar[str] = "spikeloom.golden.adex:adex_step"
    HDL: ClassVar[str] = "spikeloom.hdl.adex:AdExPipeline"

    membrane_bits: int = 22
    recovery_bits: int = 22
    substeps: int = 4
    input_shift: int = 6
    bias_bits: int = 16
    table_bits: int = 5

    def __post_init__(self) -> None:
        check_int("membrane_bits", self.membrane_bits, 18, 24)
        check_int("recovery_bits", self.recovery_bits, max(16, self.membrane_bits - 4), 24)
        check_int("substeps", self.substeps, 1, 16)
        check_int("input_shift", self.input_shift, 0, 16)
        if self.bias_bits != 0 or type(self.bias_bits) is not int:
            check_int("bias_bits", self.bias_bits, 2, self.membrane_bits, "or 0 for none")
        check_int("table_bits", self.table_bits, 4, 8)

    @property
    def membrane_fraction(self) -> int:
        """Fraction bits of the potential."""
        return self.membrane_bits - MEMBRANE_INTEGER_BITS

    @property
    def recovery_fraction(self) -> int:
        """Fraction bits of the adaptation current."""
        return self.recovery_bits - RECOVERY_INTEGER_BITS

    def state_fields(self) -> tuple[Field, ...]:
        """Membrane potential, adaptation current, and whether the neuron has left its initial state."""
        return (
            Field("membrane", self.membrane_bits, signed=True),
            Field("recovery", self.recovery_bits, signed=True),
            Field("started", 1),
        )

    def parameter_fields(self) -> tuple[Field, ...]:
        """Coefficients of a type, its constant current, and its values at a spike and at the start."""
        return (
            Field("leak", OPERAND_BITS - 1),
            Field("coupling", OPERAND_BITS, signed=True),
            Field("rate", OPERAND_BITS - 1),
            Field("drive", self.membrane_bits, signed=True),
            Field("peak", self.membrane_bits, signed=True),
            Field("reset", self.membrane_bits, signed=True),
            Field("increment", self.recovery_bits, signed=True),
            Field("initial_membrane", self.membrane_bits, signed=True),
            Field("initial_recovery", self.recovery_bits, signed=True),
        )

    def own_fields(self) -> tuple[Field, ...]:
        """Constant current of a neuron of its own."""
        return (Field("bias", self.bias_bits, signed=True),) if self.bias_bits else ()

    def sample(self, rng: np.random.Generator, size: int, weight: int) -> dict[str, IntArray]:
        """See :class:`NeuronModel`. Half of the neurons live around their threshold, where the exponential matters."""
        result = NeuronModel.sample(self, rng, size, weight)
        one = 1 << self.membrane_fraction
        living = {
            "leak": (500, 8000),
            "coupling": (-4000, 4000),
            "rate": (100, 8000),
            "drive": (-one // 2, one),
            "peak": (0, 100 * one),
            "reset": (-20 * one, -4 * one),
            "increment": (0, 1 << (self.recovery_fraction - 1)),
            "initial_membrane": (-30 * one, 0),
            "initial_recovery": (-1 << (self.recovery_fraction - 1), 1 << (self.recovery_fraction - 1)),
        }
        chosen = rng.random(size) < 0.5
        for name, (low, high) in living.items():
            result[name] = np.where(chosen, rng.integers(low, high, size, endpoint=True), result[name])
        return result
