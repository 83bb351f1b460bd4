# amaranth: UnusedElaboratable=no
"""One neuron pipeline, compiled, driven thousands of neurons at a time. Described in ``docs/neuron.md``."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloom.arch.layout import IntArray, WordArray
from spikeloom.arch.neuron import RANDOM_BITS, NeuronModel
from spikeloom.hdl.neuron import RANDOM_LATENCY, SUM_LATENCY, NeuronPipeline, pipeline_class
from spikeloom.hdl.verilog import to_verilog
from spikeloom.sim.compiled import compile_library

HARNESS = Path(__file__).parent / "neuron_harness.cpp"
#: Ports in the order of the harness; the first three stay until the next start.
PORTS = ("state", "parameters", "own", "firing", "random", "synaptic_sum")
#: Words that ports hold in cycles in which they do not count.
POOL_SIZE = 256
_WORDS = ctypes.POINTER(ctypes.c_uint32)
_NUMBERS = ctypes.POINTER(ctypes.c_int64)


class NeuronBench(wiring.Component):  # type: ignore[type-arg]  # generic only in its stubs
    """A pipeline whose ports are plain bits, and always all there.

    Parameters
    ----------
    pipeline : NeuronPipeline
        What to drive.
    """

    def __init__(self, pipeline: NeuronPipeline) -> None:
        self.pipeline = pipeline
        self.widths = {name: layout.bits for name, layout in pipeline.model.words().items()}
        self.widths |= {"random": RANDOM_BITS, "synaptic_sum": pipeline.sum_bits}
        members = {("number" if name == "random" else name): In(self.widths.get(name, 1)) for name in PORTS}
        members |= {"start": In(1), "done": Out(1), "new_state": Out(self.widths["state"]), "spike": Out(1)}
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        """Wires."""
        m = Module()
        m.submodules.pipeline = inner = self.pipeline
        # Amaranth makes the ports at run time, so a type checker does not know their names.
        for name in inner.signature.members:
            port, theirs = getattr(self, "number" if name == "random" else name), getattr(inner, name)
            m.d.comb += port.eq(theirs) if name in ("done", "new_state", "spike") else theirs.eq(port)
        return m


@dataclass(frozen=True, slots=True)
class Results:
    """What came out of a pipeline.

    Parameters
    ----------
    cycles : int64 array ``[K]``
        Cycles with ``done``.
    words : uint32 array ``[K, slices]``
        State words.
    spikes : bool array ``[K]``
    stray : int or None
        First cycle in which ``new_state`` or ``spike`` was not zero without ``done``.
    """

    cycles: IntArray
    words: WordArray
    spikes: np.ndarray[tuple[int], np.dtype[np.bool_]]
    stray: int | None


class NeuronSimulation:
    """A compiled pipeline; the first call for a model compiles it.

    Parameters
    ----------
    model : NeuronModel
        Its pipeline is taken.
    sum_bits : int
        Bits of the synaptic sum.
    seed : int
        Of what the ports hold when it does not count, and of registers without reset.
    """

    def __init__(self, model: NeuronModel, sum_bits: int, seed: int) -> None:
        pipeline = pipeline_class(model)(model=model, sum_bits=sum_bits)
        self.timing = pipeline.timing
        bench = NeuronBench(pipeline)
        library = ctypes.CDLL(str(compile_library(to_verilog(bench, "neuron"), "neuron", HARNESS)))
        library.sim_new.restype = ctypes.c_void_p
        library.sim_free.argtypes = [ctypes.c_void_p]
        library.sim_run.restype = ctypes.c_int64
        self._library = library
        self._handle: ctypes.c_void_p | None = ctypes.c_void_p(library.sim_new(ctypes.c_uint32(seed & 0xFFFFFFFF)))
        self._widths = [bench.widths.get(name, 1) for name in PORTS]
        self._slices = [-(-width // 32) for width in self._widths]
        rng = np.random.default_rng([seed, 7])
        self._pool = [random_words(rng, POOL_SIZE, width) for width in self._widths]

    def run(self, starts: IntArray, cycles: int, words: Mapping[str, WordArray]) -> Results:
        """Send neurons through.

        Parameters
        ----------
        starts : int64 array ``[N]``
            Cycle of each start, ascending.
        cycles : int
            Length of the run.
        words : dict of uint32 array ``[N, slices]``
            Words of the ports; those that the model lacks may be left out.
        """
        count = len(starts)
        arrays = [
            np.ascontiguousarray(words.get(name, np.zeros((count, slices), np.uint32)), np.uint32)
            for name, slices in zip(PORTS, self._slices, strict=True)
        ]
        assert all(array.shape == (count, slices) for array, slices in zip(arrays, self._slices, strict=True))
        most = 2 * count + 16
        state_slices = self._slices[0]
        results = np.zeros((most, state_slices + 1), np.uint32)
        result_cycles = np.zeros(most, np.int64)
        stray = ctypes.c_int64()
        first = np.ascontiguousarray(starts, np.int64)
        delays = np.array([0, 0, 0, self.timing.firing, RANDOM_LATENCY, SUM_LATENCY], np.int64)
        found = self._library.sim_run(
            self._handle,
            ctypes.c_int64(count),
            first.ctypes.data_as(_NUMBERS),
            ctypes.c_int64(cycles),
            (_WORDS * len(PORTS))(*(array.ctypes.data_as(_WORDS) for array in arrays)),
            (ctypes.c_uint32 * len(PORTS))(*self._slices),
            (_WORDS * len(PORTS))(*(array.ctypes.data_as(_WORDS) for array in self._pool)),
            ctypes.c_uint32(POOL_SIZE),
            delays.ctypes.data_as(_NUMBERS),
            results.ctypes.data_as(_WORDS),
            result_cycles.ctypes.data_as(_NUMBERS),
            ctypes.c_int64(most),
            ctypes.byref(stray),
        )
        kept = min(found, most)
        return Results(
            cycles=result_cycles[:kept],
            words=results[:kept, :state_slices],
            spikes=results[:kept, state_slices] != 0,
            stray=stray.value if stray.value >= 0 else None,
        )

    def close(self) -> None:
        """Free the simulator."""
        if self._handle is not None:
            self._library.sim_free(self._handle)
            self._handle = None


def random_words(rng: np.random.Generator, count: int, bits: int) -> WordArray:
    """Words of any bits, uint32 array ``[count, slices]``."""
    slices = -(-bits // 32)
    words = rng.integers(0, 1 << 32, (count, slices), np.uint32)
    words[:, -1] &= np.uint32((1 << (bits - 32 * (slices - 1))) - 1)
    return words
