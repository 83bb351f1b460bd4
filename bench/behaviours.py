"""The twenty behaviours of Izhikevich (2004): floating point, golden model and generated hardware.

    python bench/behaviours.py [--json]

Two sets of stimuli: robust ones on ticks of 1 ms, all twenty on one core; and the published ones (four of them scaled away from an edge)
with the published parameters and each panel's own step, on a core for each step. Every spike, potential and recovery variable of the
hardware is compared with the golden model after each tick. Cycles are those of the core's counter in simulation.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from common import finish, log, parser

from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.examples.behaviours.gallery import CLOCK_MHZ, run_all, totals

#: Bits of potential, recovery variable and multiplier.
WIDTHS = ((18, 24, 18), (18, 24, 16))
#: Multipliers of the pipeline, for the speed of the robust set.
MULTIPLIERS = (1, 3, 12)


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__).parse_args()
    cases: dict[str, Any] = {}
    for membrane, recovery, multiplier in WIDTHS:
        widths = Izhikevich(membrane_bits=membrane, recovery_bits=recovery, multiplier_bits=multiplier)
        name = f"{membrane}/{recovery}/{multiplier}"
        cases[name] = {}
        for robust, what in ((True, "robust"), (False, "original")):
            log(f"{name}, {what}")
            cases[name][what] = totals(*run_all(robust, widths))
    speed: dict[str, Any] = {}
    for count in MULTIPLIERS:
        log(f"{count} multipliers")
        measured = totals(*run_all(True, dataclasses.replace(Izhikevich(), multipliers=count)))
        speed[str(count)] = {"rtl_equal": measured["rtl_equal"], **measured["cores"][0]}
    data = {"clock_mhz": CLOCK_MHZ, "widths": cases, "multipliers": speed}

    def rows() -> list[tuple[object, ...]]:
        return [
            (
                name,
                what,
                *(f"{result['passed'][kind]} of 20" for kind in ("float", "golden", "rtl")),
                f"{result['count_error']} of {result['float_spikes']} ({result['count_error_of'] or '-'})",
                f"{result['worst_shift_ms']:g} ms ({result['worst_shift_of']})",
                "equal" if result["rtl_equal"] else "DIFFERS",
            )
            for name, sets in cases.items()
            for what, result in sets.items()
        ]

    title = ("W/U/multiplier", "set", "float", "golden", "hardware", "spikes that differ", "largest shift", "hardware = golden")
    finish("behaviours", data, arguments.json, title, rows)


if __name__ == "__main__":
    main()
