"""A slow core in plain Python integers, written from the tick contract and the pages in ``docs``, not from ``golden``.

Each tick t: the axons due at t, once each; their weights summed per neuron; every neuron that takes part updated; each spike sent to its
destinations, due at t + delay. An event that finds its axon and tick already pending is merged.
"""

from __future__ import annotations

from spikeloom.arch.adex import AdEx
from spikeloom.arch.config import CoreConfig
from spikeloom.arch.izhikevich import Izhikevich
from spikeloom.arch.layout import WordArray
from spikeloom.arch.lif import Lif
from spikeloom.arch.memory_map import regions, unpack_neurons
from spikeloom.arch.neuron import NeuronModel
from tests.golden.test_adex import naive_tick as adex_tick
from tests.golden.test_izhikevich import tick as izhikevich_tick
from tests.helpers import Contents

Numbers = dict[str, int]


# Random numbers (docs/random.md) -----------------------------------------------------------------------------------------


def naive_mix(x: int) -> int:
    """The six lines of the page, modulo 2**32."""
    top = 2**32
    x = (x + 0x7ED55D16 + x * 2**12) % top
    x = (x ^ 0xC761C23C) ^ (x // 2**19)
    x = (x + 0x165667B1 + x * 2**5) % top
    x = ((x + 0xD3A2646C) % top) ^ (x * 2**9 % top)
    x = (x + 0xFD7046C5 + x * 2**3) % top
    return (x ^ 0xB55A4F09) ^ (x // 2**16)


def naive_number(seed: int, tick: int, index: int) -> int:
    """Number of an index in a tick."""
    return naive_mix((seed + tick * 0x9E3779B9) % 2**32 ^ index)


def field_product(a: int, b: int) -> int:
    """Product in the field of 2**16 elements: the product of two polynomials over bits, then the remainder of a long division."""
    product = 0
    for power in range(16):
        if b >> power & 1:
            product ^= a << power
    polynomial = 0b1_0000_0000_0010_1011  # x**16 + x**5 + x**3 + x + 1
    for power in range(30, 15, -1):
        if product >> power & 1:
            product ^= polynomial << (power - 16)
    return product


def naive_spread(number: int, neuron: int) -> int:
    """Number of 8 bits of one synapse in a row."""
    return (field_product(number >> 16, neuron) ^ number & 0xFFFF) & 0xFF


# Neurons ---------------------------------------------------------------------------------------------------------------


def truncated_quotient(numerator: int, denominator: int) -> int:
    """Quotient rounded toward zero."""
    return numerator // denominator if numerator >= 0 else -(-numerator // denominator)


def saturated(value: int, bits: int) -> int:
    """Nearest signed number of that many bits."""
    return min(max(value, -(2 ** (bits - 1))), 2 ** (bits - 1) - 1)


def wrapped(value: int, bits: int) -> int:
    """Signed number of that many bits, modulo 2**bits."""
    return (value + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)


def sign(value: int) -> int:
    """-1, 0 or 1."""
    return (value > 0) - (value < 0)


def lif_tick(model: Lif, p: Numbers, state: Numbers, total: int, random: int = 0) -> tuple[Numbers, bool]:
    """One tick of one neuron: the equations of docs/lif.md, line by line."""
    bits = model.state_bits
    held = state["refractory"] > 0 if model.refractory_bits else False
    after: Numbers = {}
    # 2: input, or the current that it goes into
    drive = total * 2**model.fraction_bits
    if model.current_bits:
        current = truncated_quotient(state["current"] * p["current_retention"], 4096) + drive
        drive = (wrapped if model.current_wraps else saturated)(current, model.current_bits)
        after["current"] = drive
    # 3 and 4
    x = truncated_quotient(state["membrane"] * p["retention"], 4096) if model.decay else state["membrane"]
    x += drive
    if model.bias_bits:
        x += p["bias"]
    # 5
    if model.leak_bits:
        leak = p["leak"]
        if model.stochastic_leak and p["leak_stochastic"]:
            leak = sign(leak) if abs(leak) >= random % 256 else 0
        x += leak * (sign(x) if p["leak_reversal"] else 1)
    # 6
    v1 = saturated(x, bits)
    # 7
    noise = random // 256 % 2**model.threshold_noise_bits & p["noise_mask"] if model.threshold_noise_bits else 0
    adaptation = state["adaptation"] if model.adaptation_bits else 0
    fire = not held and v1 > p["threshold"] + adaptation + noise
    # 8
    low, lower = False, 0
    if model.negative_threshold:
        lower = p["negative_threshold"] if p["negative_saturates"] else p["negative_threshold"] - noise
        low = not held and not fire and v1 < lower
    # 9
    mode = p.get("reset_mode", 0)
    if held:
        v = state["membrane"]
    elif fire:
        v = {0: p["reset"], 1: wrapped(v1 + p["reset"] - noise, bits), 2: v1}[mode]
    elif low and p["negative_saturates"]:
        v = p["negative_threshold"]
    elif low:
        v = {0: wrapped(-p["reset"], bits), 1: v1 - lower, 2: v1}[mode]
    else:
        v = v1
    after["membrane"] = v
    # 10
    if model.refractory_bits:
        after["refractory"] = p["refractory"] if fire else max(state["refractory"] - 1, 0)
    # 11
    if model.adaptation_bits:
        raised = truncated_quotient(adaptation * p["adaptation_retention"], 4096) + (p["adaptation_step"] if fire else 0)
        after["adaptation"] = min(raised, 2**model.adaptation_bits - 1)
    return after, fire


def neuron_tick(model: NeuronModel, p: Numbers, state: Numbers, total: int, random: int) -> tuple[Numbers, bool]:
    """One tick of one neuron of any model."""
    if isinstance(model, Lif):
        return lif_tick(model, p, state, total, random)
    if isinstance(model, Izhikevich):
        return izhikevich_tick(model, p, state, total)
    assert isinstance(model, AdEx)
    membrane, recovery, fired = adex_tick(model, {"bias": 0} | p, (state["membrane"], state["recovery"], state["started"]), total)
    return {"membrane": membrane, "recovery": recovery, "started": 1}, bool(fired)


# The core --------------------------------------------------------------------------------------------------------------


class NaiveCore:
    """One sample of a core with the given memories."""

    def __init__(self, config: CoreConfig, memory: dict[str, WordArray]) -> None:
        self.config = config
        self.now = 0
        self.events = self.row_words = self.spikes = self.merged = self.dropped = 0
        self.pending: set[tuple[int, int]] = set()
        table = regions(config)
        contents = {name: table[name].layout.unpack(words) for name, words in memory.items() if not table[name].variants}
        self.seed = int(contents["seed"]["seed"][0]) if "seed" in contents else 0
        self._load_neurons(memory, contents)
        self._load_rows(contents)
        index, routes = contents["route_index"], contents["routes"]
        none = [0] * config.routes
        columns = [routes[name].tolist() if name in routes else none for name in ("kind", "delay", "target", "dx", "dy")]
        entries = list(zip(*columns, strict=True))
        self.destinations = [
            entries[first : first + count] for first, count in zip(index["first"].tolist(), index["count"].tolist(), strict=True)
        ]
        self.last = contents["control"]["last"].tolist()

    def _load_neurons(self, memory: dict[str, WordArray], contents: Contents) -> None:
        config, table = self.config, regions(self.config)
        words = {name: unpack_neurons(table[name], memory[name]) for name in ("parameters", "firing", "own") if name in memory}
        kinds = contents.get("kinds", {})
        self.models: list[NeuronModel] = []
        self.parameters: list[Numbers] = []
        self.states: list[Numbers] = []
        for n in range(config.neurons):
            number = int(kinds["model"][n]) if "model" in kinds else 0
            chosen = int(kinds["set"][n]) if "set" in kinds else n // config.group
            model = config.models[number]
            self.models.append(model)
            self.parameters.append(
                {
                    field: int(values[n if name == "own" else chosen])
                    for name, per_model in words.items()
                    for field, values in per_model[number].items()
                }
            )
            self.states.append({field.name: 0 for field in model.state_fields()})

    def _load_rows(self, contents: Contents) -> None:
        config = self.config
        weights = contents["weights"]["weight"].reshape(config.words, config.lanes).tolist()
        descriptors = contents["rows"]
        of_types: dict[str, list[list[int]]] = {
            name: values.reshape(-1, config.lanes).tolist() for name, values in contents.get("type_weights", {}).items()
        }
        #: Per axon, the weights of the neurons it reaches, each with whether it is stochastic.
        self.rows: list[dict[int, tuple[int, bool]]] = []
        self.row_lengths: list[int] = []
        for axon in range(config.axons):
            base, start, last = (int(descriptors[name][axon]) for name in ("base", "start", "last"))
            row = {}
            for word in range(start, last + 1):
                for lane in range(config.lanes):
                    weight, stochastic = weights[base + word - start][lane], False
                    if config.typed:
                        place = int(descriptors["type"][axon]) * config.neuron_words + word
                        weight *= of_types["weight"][place][lane]
                        stochastic = config.stochastic_synapses and of_types["stochastic"][place][lane] == 1
                    row[word * config.lanes + lane] = (weight, stochastic)
            self.rows.append(row)
            self.row_lengths.append(max(0, last - start + 1))

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

    def _weight(self, axon: int, neuron: int) -> int:
        """What an event of the axon adds in this tick."""
        weight, stochastic = self.rows[axon][neuron]
        if not stochastic:
            return weight
        number = naive_spread(naive_number(self.seed, self.now, 2**31 + axon), neuron)
        return sign(weight) if abs(weight) >= number else 0

    def tick(self) -> tuple[list[int], list[int]]:
        """Run one tick of a core that is alone: the neurons that fired, and the numbers of the outputs in order."""
        fired = self.step()
        outputs = []
        for neuron in fired:
            for kind, delay, target, _, _ in self.destinations[neuron]:
                if kind == 1:
                    outputs.append(target)
                else:
                    self.inject(target, delay)
        return fired, outputs

    def step(self) -> list[int]:
        """Run one tick up to the spikes: the neurons that fired."""
        active = [axon for due, axon in self.pending if due == self.now]
        self.pending = {(due, axon) for due, axon in self.pending if due != self.now}
        sums = [0] * self.config.neurons
        for axon in active:
            self.events += 1
            self.row_words += self.row_lengths[axon]
            for neuron in self.rows[axon]:
                if neuron < self.config.neurons:
                    sums[neuron] += self._weight(axon, neuron)
        fired = []
        for n in range(self.last[min(self.now, len(self.last) - 1)] + 1):
            number = naive_number(self.seed, self.now, n)
            self.states[n], spike = neuron_tick(self.models[n], self.parameters[n], self.states[n], sums[n], number)
            if spike:
                fired.append(n)
        self.spikes += len(fired)
        self.now += 1
        return fired


class NaiveChip:
    """Cores in a mesh: core x + y * columns stands in column x and row y."""

    def __init__(self, cores: list[NaiveCore], columns: int, host: dict[int, bool]) -> None:
        self.cores, self.columns, self.rows = cores, columns, len(cores) // columns
        #: Whether a core has a host.
        self.host = host
        self.misrouted = 0

    def tick(self) -> tuple[list[list[int]], list[int]]:
        """Run one tick: the neurons that fired in each core, and the numbers of the outputs, core after core."""
        fired = [core.step() for core in self.cores]
        outputs = []
        for number, (core, neurons) in enumerate(zip(self.cores, fired, strict=True)):
            y, x = divmod(number, self.columns)
            for neuron in neurons:
                for kind, delay, target, dx, dy in core.destinations[neuron]:
                    if not (0 <= x + dx < self.columns and 0 <= y + dy < self.rows):
                        self.misrouted += 1
                        continue
                    goal = (y + dy) * self.columns + x + dx
                    if kind == 0:
                        self.cores[goal].inject(target, delay)
                    elif self.host[goal]:
                        outputs.append(target)
                    else:
                        self.misrouted += 1
        return fired, outputs
