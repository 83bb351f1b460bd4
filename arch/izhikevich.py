"""Izhikevich neuron: widths, constants and memory words. Described in ``docs/izhikevich.md``.

``dv/dt = 0.04 v^2 + k1 v + k0 - u + I``, ``du/dt = a (b v - u)``; at the peak ``v = c``, ``u = u + d`` (Izhikevich 2003, 2004), in normal
form: ``v`` is shifted so that the linear term disappears and scaled so that the square needs no coefficient. The step is folded into
the parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spikeloom.arch.errors import ConfigError
from spikeloom.arch.layout import Field, IntArray
from spikeloom.arch.neuron import NeuronModel, check_int


@dataclass(frozen=True, kw_only=True, slots=True)
class Izhikevich(NeuronModel):
    """Izhikevich neurons. The quadratic integrate-and-fire neuron is one whose recovery variable stays zero.

    Parameters
    ----------
    membrane_bits : int
        Bits of the potential W, 16 to 18.
    recovery_bits : int
        Bits of the recovery variable U, 20 to 28.
    multiplier_bits : int
        Signed operands of the three products, 16 to ``membrane_bits``. If it is less than ``membrane_bits``, the lowest bits of W and of
        the recovery error are dropped before they are multiplied. 16 fits one multiplier of an iCE40.
    substeps : int
        Steps of integration per tick: 1, 2 or 4.
    step_exponent : int
        A sub-step lasts about ``2**-step_exponent`` ms, 0 to 4. The potential then covers +-200 mV; with a sub-step of h ms exactly
        ``200 / (h 2**step_exponent)`` mV to either side of the fixed offset.
    multipliers : int
        1: one neuron takes ``3 substeps`` cycles. ``3 c``, where c divides ``substeps``: ``substeps / c`` cycles. Never changes a result.
    input_shift : int
        The synaptic sum counts ``2**input_shift`` units of the current, 0 to 12.
    bias_bits : int
        Bits of a constant current of each neuron of its own, 2 to 24; 0: none.
    """

    NAME = "izhikevich"
    GOLDEN = "spikeloom.golden.izhikevich:izhikevich_step"
    HDL = "spikeloom.hdl.izhikevich:IzhikevichPipeline"

    membrane_bits: int = 18
    recovery_bits: int = 24
    multiplier_bits: int = 18
    substeps: int = 4
    step_exponent: int = 2
    multipliers: int = 1
    input_shift: int = 4
    bias_bits: int = 0

    def __post_init__(self) -> None:
        check_int("membrane_bits", self.membrane_bits, 16, 18)
        check_int("recovery_bits", self.recovery_bits, 20, 28)
        check_int("multiplier_bits", self.multiplier_bits, 16, self.membrane_bits)
        check_int("substeps", self.substeps, 1, 4)
        if self.substeps == 3:
            raise ConfigError("substeps is 3; it must be 1, 2 or 4")
        check_int("step_exponent", self.step_exponent, 0, 4)
        check_int("multipliers", self.multipliers, 1, 3 * self.substeps)
        legal = [1, *(3 * copies for copies in (1, 2, 4) if copies <= self.substeps)]
        if self.multipliers not in legal:
            raise ConfigError(
                f"multipliers is {self.multipliers}; with {self.substeps} substeps it must be one of {', '.join(map(str, legal))}"
            )
        check_int("input_shift", self.input_shift, 0, 12)
        if self.bias_bits != 0 or type(self.bias_bits) is not int:
            check_int("bias_bits", self.bias_bits, 2, 24, "or 0 for no bias")

    @property
    def dropped_bits(self) -> int:
        """Low bits of W and of the error that the products do not see (P)."""
        return self.membrane_bits - self.multiplier_bits

    @property
    def square_shift(self) -> int:
        """Fraction bits of the square (S)."""
        return self.membrane_bits - 4 + self.step_exponent

    @property
    def recovery_fraction(self) -> int:
        """Bits of U below the LSB of W (G)."""
        return self.recovery_bits - self.membrane_bits + 1 + self.step_exponent

    @property
    def error_fraction(self) -> int:
        """Bits of the recovery error below the LSB of W (E)."""
        return max(0, self.step_exponent - 1)

    @property
    def coupling_fraction(self) -> int:
        """Fraction bits of ``coupling``, which covers -1 to 1."""
        return self.multiplier_bits - 1

    @property
    def rate_fraction(self) -> int:
        """Fraction bits of ``rate``, which covers -1/4 to 1/4."""
        return self.multiplier_bits + 1

    @property
    def coupling_shift(self) -> int:
        """Right shift of ``coupling * W``."""
        return self.coupling_fraction - self.error_fraction - self.dropped_bits

    @property
    def rate_shift(self) -> int:
        """Right shift of ``rate * error``, rounded to nearest."""
        return self.rate_fraction - (self.recovery_fraction - self.error_fraction) - self.dropped_bits

    @property
    def potential_bits(self) -> int:
        """Bits of the new potential before it is saturated."""
        return max(2 * self.membrane_bits - self.square_shift, self.membrane_bits + 2) + 1

    @property
    def error_bits(self) -> int:
        """Bits of the recovery error before it is saturated to ``membrane_bits``."""
        return self.membrane_bits + self.error_fraction + 2

    def state_fields(self) -> tuple[Field, ...]:
        """Potential, recovery variable, and whether they hold anything yet: the first tick starts from the initial values of the set."""
        return (
            Field("membrane", self.membrane_bits, signed=True),
            Field("recovery", self.recovery_bits, signed=True),
            Field("started", 1),
        )

    def parameter_fields(self) -> tuple[Field, ...]:
        """All of a cell type."""
        membrane = {
            name: Field(name, self.membrane_bits, signed=True)
            for name in ("constant", "threshold", "reset", "offset", "initial_membrane")
        }
        return (
            Field("coupling", self.multiplier_bits, signed=True),
            Field("rate", self.multiplier_bits, signed=True),
            membrane["constant"],
            membrane["threshold"],
            membrane["reset"],
            Field("jump", self.recovery_bits, signed=True),
            membrane["offset"],
            Field("decay", 1),
            membrane["initial_membrane"],
            Field("initial_recovery", self.recovery_bits, signed=True),
        )

    def own_fields(self) -> tuple[Field, ...]:
        """A constant current of each neuron, if there is one."""
        return (Field("bias", self.bias_bits, signed=True),) if self.bias_bits else ()

    def check(self, parameters: Mapping[str, IntArray]) -> None:
        """Refuse a reset above the threshold: such a neuron would fire in every sub-step for ever."""
        wrong = parameters["reset"] > parameters["threshold"]
        if wrong.any():
            n = int(np.argmax(wrong))
            raise ConfigError(
                f"reset[{n}] is {parameters['reset'][n]}; it must not exceed the threshold, {parameters['threshold'][n]}, "
                "or the neuron would never stop firing"
            )

    def sample(self, rng: np.random.Generator, size: int, weight: int) -> dict[str, IntArray]:
        """See :meth:`NeuronModel.sample`. Half of the neurons are of the kind that rests, and fires now and then."""
        result = NeuronModel.sample(self, rng, size, weight)
        unit = 2.0**self.membrane_bits
        usual = {
            "coupling": (-0.05, 0.1, 2.0**self.coupling_fraction),
            "rate": (-0.005, 0.02, 2.0**self.rate_fraction),
            "constant": (-0.004, 0.0, unit),
            "threshold": (0.05, 0.25, unit),
            "reset": (-0.02, 0.02, unit),
            "jump": (-0.01, 0.06, 2.0**self.recovery_bits),
            "offset": (-0.003, 0.003, unit),
            "initial_membrane": (-0.04, 0.0, unit),
            "initial_recovery": (-0.01, 0.01, 2.0**self.recovery_bits),
        }
        chosen = rng.integers(0, 2, size) == 1
        for name, (low, high, scale) in usual.items():
            result[name] = np.where(chosen, (rng.uniform(low, high, size) * scale).astype(np.int64), result[name])
        result["threshold"] = np.maximum(result["threshold"], result["reset"])
        return result
