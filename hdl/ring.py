"""A ring of pipeline stages, in which a neuron goes round once for each step of its integration. Described in ``docs/izhikevich.md``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from spikeloom.hdl.neuron import NeuronPipeline


def saturated(value: Value, bits: int) -> Value:
    """The nearest value that fits ``bits``, signed."""
    if len(value) <= bits:
        return value
    top, sign = value[bits - 1 :], value[-1]
    overflow = top.any() & ~top.all()
    return Mux(overflow, Cat((~sign).replicate(bits - 1), sign), value[:bits]).as_signed()


def ring_length(stages: int, rounds: int, interval: int, used: Sequence[int] = (0,)) -> int:
    """Stages of a ring in which nothing ever meets.

    Starts are a multiple of ``interval`` apart. So no two neurons, and no two rounds of one neuron, are ever in the same stage if the
    rounds reach it in cycles that differ modulo ``interval``.

    Parameters
    ----------
    stages : int
        Stages with something to do; the ring may get idle ones.
    rounds : int
        How often a neuron goes round.
    interval : int
        Cycles between neurons, at least ``rounds * len(used)``.
    used : list of int
        Stages that share one thing, for which the same must hold.

    Raises
    ------
    AssertionError
        If no ring of up to twice the stages does it.
    """
    for length in range(stages, 2 * stages + 1):
        cycles = {(turn * length + stage) % interval for turn in range(rounds) for stage in used}
        if len(cycles) == rounds * len(used):
            return length
    raise AssertionError(
        f"no ring for {stages} stages, {rounds} rounds, a neuron every {interval} cycles, shared stages {tuple(used)}"
    )


class Traveller:
    """A value that travels with its neuron; made by :class:`Ring`. It has registers only as far as somebody asks for it.

    Parameters
    ----------
    ring : Ring
        Where it travels.
    name : str
        Of the registers.
    value : Value
        What the first register takes.
    stage : int
        Stage of the first register.
    """

    def __init__(self, ring: Ring, name: str, value: Value, stage: int) -> None:
        self._ring, self.name, self._stage = ring, name, stage
        self._values = [value]

    def at(self, stage: int) -> Value:
        """The value of the neuron that is in this stage."""
        index = (stage - self._stage) // self._ring.spacing + 1
        assert index >= 1, f"{self.name} is not there yet in stage {stage}"
        while len(self._values) <= index:
            first = self._stage + (len(self._values) - 1) * self._ring.spacing
            self._values.append(self._ring.register(f"{self.name}_s{first}", self._values[-1], first))
        return self._values[index]

    def before(self, stage: int) -> Value:
        """The value of the neuron that is one stage before this one, where it need not be there yet: it may still be computed."""
        index = (stage - self._stage) // self._ring.spacing
        return self._values[0] if index == 0 and stage == self._stage else self.at(stage - 1)


class Entrant(Traveller):
    """A value that travels from stage 0 on; made by :meth:`Ring.enter`.

    Parameters
    ----------
    ring, name
        As for :class:`Traveller`.
    entry : Value
        Value of a neuron that enters.
    into : Signal
        What enters stage 0, of a new neuron or of one that goes round again.
    """

    def __init__(self, ring: Ring, name: str, entry: Value, into: Signal) -> None:
        super().__init__(ring, name, into, 0)
        self.entry, self.into = entry, into


class Ring:
    """Stages, and the cycles in which a neuron enters and leaves.

    Parameters
    ----------
    m : Module
        Gets the registers.
    start : Value
        A neuron is at the ports.
    interval : int
        Cycles between neurons: a start comes a multiple of it after any other whose neuron is still on its way.
    entry : int
        Cycles from ``start`` to stage 0.
    length : int
        Stages of a round.
    rounds : int
        How often a neuron goes round.
    latency : int
        Cycles from ``start`` to the result.
    spacing : int
        Cycles between neurons anywhere in the ring; divides ``interval`` and ``length``. A travelling value then has one register for
        as many stages.

    Attributes
    ----------
    entering, exiting, done : Value
        The cycle before stage 0 of the first round; the last cycle before the result; and that of the result.
    """

    def __init__(
        self, m: Module, start: Value, *, interval: int, entry: int, length: int, rounds: int, latency: int, spacing: int = 1
    ) -> None:
        assert interval % spacing == 0
        assert rounds == 1 or length % spacing == 0
        self._m, self._interval, self._entry, self._rounds = m, interval, entry, rounds
        self.length, self.spacing = length, spacing
        age = Signal(latency)
        m.d.sync += age.eq(Cat(start, age))
        self.entering, self.exiting, self.done = age[entry - 2], age[latency - 2], age[latency - 1]
        if spacing > 1:
            # One bit for each stage modulo ``spacing`` in which neurons are now.
            phase = Signal(spacing, init=1)
            m.d.sync += phase.eq(Cat(phase[-1], phase[:-1]))
            with m.If(start):
                m.d.sync += phase.eq(1 << ((1 - entry) % spacing))
            self._phase = phase

    def in_stage(self, stage: int) -> Value:
        """Neurons are in the stages that are a multiple of ``spacing`` away from this one."""
        return self._phase[stage % self.spacing]

    def register(self, name: str, value: Value, stage: int) -> Signal:
        """A register for the neuron in ``stage``. It stays for ``spacing`` cycles."""
        result = Signal(value.shape(), name=name, reset_less=True)
        if self.spacing == 1:
            self._m.d.sync += result.eq(value)
        else:
            with self._m.If(self.in_stage(stage - 1)):
                self._m.d.sync += result.eq(value)
        return result

    def arrived(self, name: str, value: Value, since: int, cycle: int) -> Value:
        """A value that comes ``since`` cycles after ``start`` and stays until the next, as it is ``cycle`` cycles after ``start``."""
        for number in range(since + self._interval, cycle + 1):
            register = Signal(value.shape(), name=f"{name}_c{number}", reset_less=True)
            self._m.d.sync += register.eq(value)
            value = register
        return value

    def enter(self, name: str, value: Value, since: int) -> Entrant:
        """A value of each neuron from stage 0 on, which comes ``since`` cycles after ``start`` and stays until the next.

        :meth:`turn` says what it is in further rounds, and must be called.
        """
        value = self.arrived(name, value, since, self._entry - 1)
        into = Signal(value.shape(), name=f"{name}_into")
        return Entrant(self, name, value, into)

    def travel(self, name: str, value: Value, stage: int) -> Traveller:
        """A value that is computed from registers of the stage before ``stage``."""
        return Traveller(self, name, value, stage)

    def turn(self, entrant: Entrant, value: Value | None = None, stage: int = 0) -> None:
        """Close the ring: what a value is in the next round.

        Parameters
        ----------
        entrant : Entrant
            From :meth:`enter`.
        value : Value
            From registers of the stage before ``stage``. Without it the value stays as it was.
        stage : int
            Stage after the last that has something to do.
        """
        if self._rounds == 1:
            self._m.d.comb += entrant.into.eq(entrant.entry)
            return
        if value is None:
            value = entrant.at(self.length - 1)
        elif stage < self.length:
            value = self.travel(f"{entrant.name}_idle", value, stage).at(self.length - 1)
        self._m.d.comb += entrant.into.eq(Mux(self.entering, entrant.entry, value))

    def leave(self, pipeline: NeuronPipeline, state: Mapping[str, Value], spike: Value) -> None:
        """Give the result, from registers of the last stage; zero in all other cycles."""
        self._m.d.comb += pipeline.done.eq(self.done)
        with self._m.If(self.exiting):
            self._m.d.sync += [pipeline.new_state[name].eq(value) for name, value in state.items()]
            self._m.d.sync += pipeline.spike.eq(spike)
        with self._m.Else():
            self._m.d.sync += [pipeline.new_state.eq(Const(0, len(pipeline.new_state.as_value()))), pipeline.spike.eq(0)]
