"""Verdict: what a network needs of a chip, what there is, and what to change if it is too little. Described in ``docs/compiler.md``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from spikeloom.arch.config import MAX_AXONS, ChipConfig, CoreConfig
from spikeloom.arch.errors import CapacityError
from spikeloom.network.plan import CorePlan, Demand, Partition

_SMALLER = "choose a larger geometry or a smaller network"
_LARGER_CHIP = "choose a chip with more or larger cores, or a smaller network"
_LONGER_LISTS = "raise destinations; one neuron cannot have all of 2, 4, 8... entries"
#: So many lines of the verdict of a chip of several cores are totals.
_TOTALS = 5


@dataclass(frozen=True, slots=True)
class Need:
    """One line of the verdict.

    Parameters
    ----------
    what : str
        Resource.
    needed, available : int
    remedy : str
        What to change if it does not fit.
    """

    what: str
    needed: int
    available: int
    remedy: str

    @property
    def fits(self) -> bool:
        """Whether there is enough."""
        return self.needed <= self.available

    def __str__(self) -> str:
        lack = self.needed - self.available
        return f"{self.what}: needs {self.needed}, has {self.available} ({lack} too few; {self.remedy})"


def verdict(config: ChipConfig, result: Partition) -> list[Need]:
    """Needs of the core, or of the whole chip where there are several."""
    return _of_core(result) if len(config.cores) == 1 else _of_chip(config, result)


def check(needs: list[Need], name: str, whole: bool) -> None:
    """Refuse a network of which something does not fit ``name``; ``whole``: with the totals of a chip of several cores.

    Raises
    ------
    CapacityError
        It lists everything that is short, by how much, and what to change.
    """
    short = [need for need in needs if not need.fits]
    if not short:
        return
    text = f"the network does not fit {name}: " + "; ".join(map(str, short))
    if whole:
        text += "; in all it needs " + ", ".join(f"{n.needed} of {n.available} {n.what}" for n in needs[:_TOTALS])
    raise CapacityError(text)


def _of_core(result: Partition) -> list[Need]:
    plan = result.plans[0]
    core = plan.config
    return [
        Need("neurons", plan.neurons, core.neurons, _SMALLER),
        Need("axons", plan.axons, core.axons, f"{_SMALLER}: one axon per input and per neuron that reaches others"),
        Need("weight words", plan.words, core.words, f"{_SMALLER}, or fewer weight bits; a word holds {core.lanes} weights"),
        Need("destinations", result.destinations(plan), core.routes, f"{_SMALLER}, or raise destinations"),
        *_lists(result),
        *_of_kind(plan),
    ]


def _lists(result: Partition) -> list[Need]:
    """The neuron with most destinations beyond what a list can have, if there is one."""
    needs = []
    for plan in result.plans:
        length, population, neuron = result.longest_list(plan)
        what = f"destinations of neuron {neuron} of population {population!r}"
        needs.append(Need(what, length, plan.config.list_length, _LONGER_LISTS))
    worst = max(needs, key=lambda need: need.needed - need.available)
    return [] if worst.fits else [worst]


def _of_kind(plan: CorePlan) -> list[Need]:
    """What does not grow with the number of neurons."""
    levels = max(piece.demand.levels for piece in plan.pieces)
    bits = max(int(piece.demand.sum_bits[piece.offset : piece.offset + piece.size].max()) for piece in plan.pieces)
    needs = [_levels(levels, plan.config), _accumulator(bits, plan.config)]
    if plan.config.sets is not None:
        needs.append(_sets(len(plan.sets), plan.config.sets))
    return needs


def _levels(levels: int, core: CoreConfig) -> Need:
    return Need("levels", levels, core.levels, "raise levels, or use fewer layers with a bias")


def _accumulator(bits: int, core: CoreConfig) -> Need:
    return Need("accumulator bits", bits, core.sum_bits, "raise accumulator_bits, or use fewer weight bits")


def _sets(sets: int, available: int) -> Need:
    return Need("parameter sets", sets, available, "raise sets, or use fewer kinds of neurons")


def _of_chip(config: ChipConfig, result: Partition) -> list[Need]:
    plans, cores = result.plans, config.cores
    spare = sum(plan.spare for plan in plans)
    # Cores that are left over when others are missing do not suit what is left.
    suitable = len(plans) - spare if spare else len(cores)
    needs = [
        Need("cores" if suitable == len(cores) else "suitable cores", len(plans), suitable, _LARGER_CHIP),
        Need("neurons", sum(plan.neurons for plan in plans), sum(core.neurons for core in cores), _LARGER_CHIP),
        Need("axons", sum(plan.axons for plan in plans), sum(core.axons for core in cores), _LARGER_CHIP),
        Need("weight words", sum(plan.words for plan in plans), sum(core.words for core in cores), _LARGER_CHIP),
        Need("destinations", sum(map(result.destinations, plans)), sum(core.routes for core in cores), "raise destinations"),
    ]
    fullest = max(plans, key=lambda plan: result.destinations(plan) - plan.config.routes)
    if result.destinations(fullest) > fullest.config.routes:
        names = ", ".join(piece.name for piece in fullest.pieces)
        needs.append(
            Need(f"destinations of the core of {names}", result.destinations(fullest), fullest.config.routes, "raise destinations")
        )
    # Of what each core has for itself, the tightest.
    tightest: dict[str, Need] = {}
    for need in (need for plan in plans for need in _of_kind(plan)):
        before = tightest.get(need.what)
        if before is None or need.available - need.needed < before.available - before.needed:
            tightest[need.what] = need
    return needs + _lists(result) + list(tightest.values())


def core_table(config: ChipConfig, at: list[CorePlan], result: Partition) -> list[dict[str, int]]:
    """What each core of the mesh uses of what it has; ``at``: the contents of each."""
    table = []
    for number, (core, plan) in enumerate(zip(config.cores, at, strict=True)):
        column, row = config.place(number)
        line = {"core": number, "column": column, "row": row}
        used = (plan.neurons, plan.axons, plan.words, result.destinations(plan))
        names = ("neurons", "axons", "weight_words", "destinations")
        for name, needed, available in zip(names, used, (core.neurons, core.axons, core.words, core.routes), strict=True):
            line |= {name: needed, f"{name}_available": available}
        table.append(line)
    return table


# Neurons that no core can take ------------------------------------------------------------------------------------------


def short_of(demand: Demand, core: CoreConfig) -> list[Need]:
    """What even an empty core lacks for some neuron of a population."""
    neuron = int(demand.fan_in.argmax())
    inputs = int(demand.fan_in[neuron])
    more = f"give a core of the chip more axons; cores may differ, and have up to {MAX_AXONS}"
    if inputs > MAX_AXONS:
        more = f"no core has more than {MAX_AXONS}: let fewer neurons reach it"
    needs = [
        Need(f"axons of neuron {neuron}, one for each neuron that reaches it and delay", inputs, core.axons, more),
        Need(f"weight words of neuron {neuron}", inputs, core.words, "raise weight_words"),
        _levels(demand.levels, core),
        _accumulator(int(demand.sum_bits.max()), core),
    ]
    return [need for need in needs if not need.fits]


def refuse_neurons(demand: Demand, cores: list[CoreConfig]) -> NoReturn:
    """Say what the cores that come nearest lack for some neuron of a population."""
    short = [short_of(demand, core) for core in cores if demand.neurons.suits(core)]
    _refuse(f"population {demand.population.label!r} fits", short)


def refuse_piece(demand: Demand, offset: int, size: int, trials: list[CorePlan]) -> NoReturn:
    """Say what cores that hold nothing but the fewest neurons of a population lack, given those cores."""
    short = []
    for plan in trials:
        core = plan.config
        needs = [
            Need(
                "neurons",
                plan.neurons,
                core.neurons,
                "give it cores with more neurons, or group=1: neurons that share a parameter set stay together",
            ),
            Need(
                "axons", plan.axons, core.axons, f"give a core of the chip more axons; cores may differ, and have up to {MAX_AXONS}"
            ),
            Need("weight words", plan.words, core.words, "raise weight_words"),
            Need("destinations", plan.reserved, core.routes, "raise destinations"),
            *_of_kind(plan),
        ]
        if plan.reserved <= core.routes:
            needs.append(Need("destinations of a neuron", plan.longest, core.list_length, _LONGER_LISTS))
        short.append([need for need in needs if not need.fits])
    neurons = f"neuron {offset}" if size == 1 else f"neurons {offset} to {offset + size - 1}"
    _refuse(f"{neurons} of population {demand.population.label!r} {'fits' if size == 1 else 'fit'}", short)


def _refuse(who: str, short: list[list[Need]]) -> NoReturn:
    nearest = min(short, key=lambda needs: (len(needs), sum(need.needed - need.available for need in needs)))
    raise CapacityError(f"{who} no core: " + "; ".join(map(str, nearest)))
