"""A slow core in plain Python integers, written from the tick contract and not from ``golden/core.py``.

Each tick t: the axons due at t, once each; their weights summed per neuron; every neuron that takes part updated; each spike sent to its
destinations, due at t + delay. An event that finds its axon and tick already pending is merged.
"""

from __future__ import annotations

from spikeloom.arch.config import CoreConfig
from tests.helpers import Contents


def truncated_quotient(numerator: int, denominator: int) -> int:
    """Quotient rounded toward zero."""
    return numerator // denominator if numerator >= 0 else -(-numerator // denominator)


class NaiveNeuron:
    """One neuron: the equations of ``golden/lif.py``, a value at a time."""

    def __init__(
        self, config: CoreConfig, *, retention: int, threshold: int, reset: int, relative: bool, refractory: int, bias: int
    ) -> None:
        half = 1 << (config.state_bits - 1)
        self.low, self.high = -half, half - 1
        self.scale = 1 << config.fraction_bits
        self.retention, self.threshold, self.bias = retention, threshold, bias
        self.reset, self.relative, self.period = reset, relative, refractory
        self.potential = self.wait = 0

    def step(self, synaptic_sum: int) -> bool:
        """One tick; whether it fired."""
        if self.wait > 0:
            self.wait -= 1
            return False
        drive = synaptic_sum * self.scale + self.bias
        potential = truncated_quotient(self.potential * self.retention, 4096) + drive
        potential = min(max(potential, self.low), self.high)
        fired = potential > self.threshold
        if fired:
            potential = potential + self.reset if self.relative else self.reset
            span = self.high - self.low + 1
            potential = (potential - self.low) % span + self.low
            self.wait = self.period
        self.potential = potential
        return fired


class NaiveCore:
    """One sample of a core with the given contents of its memories."""

    def __init__(self, config: CoreConfig, contents: Contents) -> None:
        self.config = config
        self.now = 0
        self.events = self.row_words = self.spikes = self.merged = self.dropped = 0
        self.pending: set[tuple[int, int]] = set()
        leak, firing = contents["leak"], contents["firing"]
        self.neurons = []
        for n in range(config.neurons):
            group = n // config.group
            self.neurons.append(
                NaiveNeuron(
                    config,
                    retention=int(leak["retention"][group]),
                    threshold=int(firing["threshold"][group]),
                    reset=int(firing["reset"][group]),
                    relative=config.relative_reset and bool(leak["reset_mode"][group]),
                    refractory=int(firing["refractory"][group]) if config.refractory_bits else 0,
                    bias=int(contents["bias"]["bias"][n]) if config.bias_bits else 0,
                )
            )
        weights = contents["weights"]["weight"].reshape(config.words, config.lanes).tolist()
        rows = [contents["rows"][name].tolist() for name in ("base", "start", "last")]
        #: Per axon, the weights of the neurons it reaches, and the words that hold them.
        self.rows: list[dict[int, int]] = []
        self.row_lengths: list[int] = []
        for base, start, last in zip(*rows, strict=True):
            row = {}
            for word in range(start, last + 1):
                for lane in range(config.lanes):
                    row[word * config.lanes + lane] = weights[base + word - start][lane]
            self.rows.append(row)
            self.row_lengths.append(max(0, last - start + 1))
        index, routes = contents["route_index"], contents["routes"]
        entries = list(zip(*(routes[name].tolist() for name in ("kind", "delay", "target")), strict=True))
        self.destinations = [
            entries[first : first + count] for first, count in zip(index["first"].tolist(), index["count"].tolist(), strict=True)
        ]
        self.last = contents["control"]["last"].tolist()

    def inject(self, axon: int, delay: int) -> None:
        """An event from outside, due ``delay`` ticks after the last completed one."""
        if axon >= self.config.axons or delay == 0:
            self.dropped += 1
        else:
            self._send(axon, self.now - 1 + delay)

    def _send(self, axon: int, due: int) -> None:
        if (due, axon) in self.pending:
            self.merged += 1
        self.pending.add((due, axon))

    def tick(self) -> tuple[list[int], list[int]]:
        """Run one tick: the neurons that fired, and the numbers of the outputs in order."""
        active = [axon for due, axon in self.pending if due == self.now]
        self.pending = {(due, axon) for due, axon in self.pending if due != self.now}
        sums = [0] * self.config.neurons
        for axon in active:
            self.events += 1
            self.row_words += self.row_lengths[axon]
            for neuron, weight in self.rows[axon].items():
                if neuron < self.config.neurons:
                    sums[neuron] += weight
        last = self.last[min(self.now, len(self.last) - 1)]
        fired = [n for n in range(last + 1) if self.neurons[n].step(sums[n])]
        self.spikes += len(fired)
        outputs = []
        for neuron in fired:
            for kind, delay, target in self.destinations[neuron]:
                if kind == 1:
                    outputs.append(target)
                else:
                    self._send(target, self.now + delay)
        self.now += 1
        return fired, outputs
