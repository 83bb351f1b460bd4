from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

import spikeloom
from spikeloom.arch.config import ChipConfig, CoreConfig
from spikeloom.arch.errors import NetworkError
from spikeloom.arch.lif import Lif
from spikeloom.network.description import Network, Neurons
from spikeloom.network.evaluate import evaluate
from spikeloom.network.quantise import quantise
from tests.network.cases import chain, cuba, graph, lif, linear, matrices, spiking


def only(network: Network, name: str = "1") -> Neurons:
    found = network.find(name).neurons
    assert found is not None
    return found


def steps(network: Network, name: str = "1") -> tuple[float, float, str]:
    """Decay, input gain (that of a weight of 1) and note of a population behind one Linear node with a weight of 1."""
    return float(only(network, name).retention[0]), float(matrices(network)["input", name][0, 0]), network.find(name).note


def exported(node: nir.NIRNode, tmp_path: Path, **options: Any) -> Network:
    """A node behind a weight of 1, written to a file and read back."""
    one = nir.Linear(np.ones((1, 1), np.float32))
    path = tmp_path / "net.nir"
    nir.write(path, chain(one, node, inputs=1, outputs=1))
    return spikeloom.read_nir(path, **options)


def lif_of(tau: float, r: float, *, v_reset: float = 0.0, v_threshold: float = 1.0) -> nir.LIF:
    """One LIF neuron with the numbers rounded to single precision, as exporters do."""
    return lif(1, tau=float(np.float32(tau)), r=float(np.float32(r)), v_reset=v_reset, v_threshold=v_threshold)


# What each exporter writes (reference/ecosystem.md, table 1.3) -----------------------------------------------------------


@pytest.mark.parametrize("beta", [0.5, 0.9, 0.95, 0.99])
def test_snntorch_leaky_keeps_its_beta_and_adds_its_input_once(beta: float, tmp_path: Path) -> None:
    tau = float(np.float32(1e-4) / np.float32(1 - beta))
    network = exported(lif_of(tau, float(np.float32(tau) / np.float32(1e-4))), tmp_path)
    decay, gain, note = steps(network)
    assert decay == beta  # single precision gives 0.9499998; it is rounded
    assert gain == 1.0
    assert (
        note == f"LIF: dt 0.0001 s (r dt / tau is 1, as snnTorch and SpikingJelly write it); decay {beta:g} per step; input gain 1"
    )
    assert network.dt == pytest.approx(0.1)  # ms
    neurons = only(network)
    assert neurons.reset_mode == "value"
    assert neurons.reset.tolist() == [0.0]


def test_snntorch_leaky_of_any_beta_adds_its_input_exactly_once() -> None:
    """In single precision r dt / tau is up to 1.2e-7 beside 1, above or below; weights that reach the threshold exactly would tell."""
    raw = set()
    for beta in np.arange(1, 100) / 100:
        tau = np.float32(1e-4) / np.float32(1 - beta)
        r = tau / np.float32(1e-4)
        raw.add(np.sign(float(r) * 1e-4 / float(tau) - 1))
        source = chain(nir.Linear(np.ones((1, 1), np.float32)), lif_of(float(tau), float(r)), inputs=1, outputs=1)
        assert steps(spikeloom.read_nir(source))[:2] == (beta, 1.0)
    assert raw >= {-1.0, 1.0}


@pytest.mark.parametrize("beside", [-2e-7, -1e-7, 1e-7, 2e-7])
def test_a_gain_that_single_precision_missed_is_rounded(beside: float) -> None:
    node = nir.LIF(*(np.array([value]) for value in (1e-3, 10.0 * (1 + beside), 0.0, 1.0)))
    assert steps(spikeloom.read_nir(chain(nir.Linear(np.ones((1, 1))), node, inputs=1, outputs=1)))[:2] == (0.9, 1.0)


def test_snntorch_leaky_with_late_subtraction_is_what_its_default_does(tmp_path: Path) -> None:
    """``mem = beta mem + x - spike of the step before * threshold``; the input is a pattern of 0 to 3 equal spikes."""
    beta, threshold = 0.9, 1.0
    weights = np.array([[0.7, 0.7, 0.7]], np.float32)
    path = tmp_path / "net.nir"
    nir.write(path, chain(nir.Linear(weights), lif_of(1e-3, 10.0, v_threshold=threshold), outputs=1))
    network = spikeloom.read_nir(path, reset="subtract-late")
    spikes = np.random.default_rng(5).random((1, 200, 3)) < 0.4
    mem, fired, expected = 0.0, False, []
    for step in range(200):
        mem = beta * mem + 0.7 * spikes[0, step].sum() - fired * threshold
        fired = mem > threshold
        expected.append(fired)
    assert 20 < sum(expected) < 180
    assert evaluate(network, spikes)["1"][0, :, 0].tolist() == expected


def test_norse_lifbox_scales_its_input_by_dt_over_tau(tmp_path: Path) -> None:
    decay, gain, note = steps(exported(lif_of(0.01, 1.0), tmp_path))
    assert (decay, gain) == (0.9, 0.1)
    assert note == "LIF: dt 0.001 s (r is 1, as Norse writes it with its step of 1 ms); decay 0.9 per step; input gain 0.1"


def test_norse_with_another_step_is_told_by_dt(tmp_path: Path) -> None:
    network = exported(lif_of(0.01, 1.0), tmp_path, dt=5e-4)
    assert steps(network)[:2] == (0.95, 0.05)
    assert "dt 0.0005 s (as told)" in steps(network)[2]
    assert network.dt == 0.5


def test_sinabs_iaf_adds_its_input_once(tmp_path: Path) -> None:
    decay, gain, note = steps(exported(nir.IF(r=np.ones(1), v_threshold=np.ones(1)), tmp_path))
    assert (decay, gain) == (1.0, 1.0)
    assert note == "IF: dt 1 step (r is 1: a step adds the input once); decay 1 per step; input gain 1"


def test_sinabs_iaf_subtracts_when_told(tmp_path: Path) -> None:
    node = nir.IF(r=np.ones(1), v_threshold=np.full(1, 0.75))
    neurons = only(exported(node, tmp_path, reset="subtract"))
    assert neurons.reset_mode == "subtract"
    assert neurons.reset.tolist() == [0.75]


def test_sinabs_lif_counts_its_tau_in_steps(tmp_path: Path) -> None:
    network = exported(lif_of(20.0, 1.0), tmp_path, integrator="exact", reset="subtract")
    decay, gain, note = steps(network)
    assert decay == round(math.exp(-1 / 20), 6)
    # With norm_input, Sinabs scales its input by 1 - exp(-1/tau); that is what r = 1 says.
    assert gain == pytest.approx(1 - math.exp(-1 / 20), rel=1e-5)
    assert "dt 1 step (tau above 1 with r of 1 counts steps, as Sinabs writes it)" in note
    assert network.dt == 1.0


def test_sinabs_lif_without_norm_input_gets_a_gain_of_one_by_setting_r_to_tau() -> None:
    decay, gain, note = steps(
        spikeloom.read_nir(chain(nir.Linear(np.ones((1, 1))), lif_of(20.0, 20.0), inputs=1, outputs=1), dt="steps")
    )
    assert (decay, gain) == (0.95, 1.0)
    assert "dt 1 step (time constants count steps)" in note


def test_sinabs_lif_is_read_by_euler_unless_told(tmp_path: Path) -> None:
    assert steps(exported(lif_of(20.0, 1.0), tmp_path))[:2] == (0.95, 0.05)


@pytest.mark.parametrize(("tau", "dt"), [(0.02, 1e-3), (0.05, 1e-3), (0.01, 2e-4)])
def test_rockpool_is_read_back_as_rockpool_does(tau: float, dt: float, tmp_path: Path) -> None:
    node = lif_of(tau, tau * math.exp(-dt / tau) / dt)
    decay, gain, note = steps(exported(node, tmp_path))
    assert "tau / (1 + r), as Rockpool reads it" in note
    # Its own formula is a little off: dt is found up to (dt / tau)**2.
    assert decay == pytest.approx(math.exp(-dt / tau), abs=2 * (dt / tau) ** 2)
    assert gain == pytest.approx(math.exp(-dt / tau), abs=2 * (dt / tau) ** 2)


def test_rockpool_of_several_time_constants_has_the_shortest_step() -> None:
    tau, dt = np.array([0.02, 0.05]), 1e-3
    node = lif(2)
    node.tau, node.r = tau, tau * np.exp(-dt / tau) / dt
    network = spikeloom.read_nir(chain(linear(2, 3), node, outputs=2))
    assert network.dt == pytest.approx(1000 * (tau / (1 + node.r)).min())
    assert (tau / (1 + node.r)).argmin() == 0


def test_rockpool_with_its_step_told_has_its_gain_exactly(tmp_path: Path) -> None:
    tau, dt = 0.02, 1e-3
    node = lif_of(tau, tau * math.exp(-dt / tau) / dt)
    decay, gain, _ = steps(exported(node, tmp_path, dt=dt))
    assert decay == 0.95
    assert gain == pytest.approx(math.exp(-dt / tau), rel=1e-5)
    assert steps(exported(node, tmp_path, dt=dt, integrator="exact"))[0] == round(math.exp(-dt / tau), 6)


@pytest.mark.parametrize("tau_steps", [2.0, 5.0, 100.0])
def test_spikingjelly_lif_without_decay_input_adds_its_input_once(tau_steps: float, tmp_path: Path) -> None:
    decay, gain, note = steps(exported(lif_of(tau_steps * 1e-4, tau_steps), tmp_path))
    assert decay == pytest.approx(1 - 1 / tau_steps, abs=1e-6)
    assert gain == 1.0
    assert "dt 0.0001 s" in note


def test_spikingjelly_lif_with_decay_input_scales_by_one_over_tau(tmp_path: Path) -> None:
    decay, gain, note = steps(exported(lif_of(2e-4, 1.0), tmp_path))  # tau = 2 steps, its default
    assert (decay, gain) == (0.5, 0.5)
    assert "dt 0.0001 s (r is 1 and tau below 1 ms, as SpikingJelly writes it)" in note


def test_spikingjelly_lif_with_a_long_tau_looks_like_norse_and_is_told_by_dt(tmp_path: Path) -> None:
    node = lif_of(20e-4, 1.0)
    assert steps(exported(node, tmp_path))[:2] == (0.5, 0.5)
    assert steps(exported(node, tmp_path, dt=1e-4))[:2] == (0.95, 0.05)


def test_spikingjelly_if_adds_its_input_once(tmp_path: Path) -> None:
    node = nir.IF(r=np.full(1, 1e4, np.float32), v_threshold=np.ones(1, np.float32))
    network = exported(node, tmp_path)
    decay, gain, note = steps(network)
    assert (decay, gain) == (1.0, 1.0)
    assert (
        note == "IF: dt 0.0001 s (r is 1e4: a step adds the input once, as SpikingJelly writes it); decay 1 per step; input gain 1"
    )
    assert network.dt == pytest.approx(0.1)


def test_if_with_another_r_has_a_step_of_one_over_r(tmp_path: Path) -> None:
    network = exported(nir.IF(r=np.full(1, 500.0), v_threshold=np.ones(1)), tmp_path)
    assert steps(network)[:2] == (1.0, 1.0)
    assert "dt 0.002 s (1/r: a step adds the input once)" in steps(network)[2]


def test_layers_of_one_step_give_the_network_that_step_and_others_a_millisecond() -> None:
    alike = chain(linear(3, 3), lif(), linear(3, 3, 1), lif(tau=2e-3, r=20.0))
    mixed = chain(linear(3, 3), lif(), linear(3, 3, 1), spiking())
    assert spikeloom.read_nir(alike).dt == pytest.approx(0.1)
    assert spikeloom.read_nir(mixed).dt == 1.0


def test_notes_tell_the_range_of_decay_and_gain() -> None:
    node = lif(2, r=20.0)
    node.tau = np.array([0.01, 0.02], np.float32)
    network = spikeloom.read_nir(chain(linear(2, 3), node, outputs=2), dt=1e-3)
    assert network.find("1").note == "LIF: dt 0.001 s (as told); decay 0.9 to 0.95 per step; input gain 1 to 2"


# Synaptic currents -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("alpha", "beta"), [(0.9, 0.8), (0.5, 0.95), (0.0, 0.9), (0.99, 0.5)])
def test_snntorch_synaptic_keeps_its_alpha_and_beta_and_adds_its_input_once(alpha: float, beta: float, tmp_path: Path) -> None:
    network = exported(cuba(1, alpha=alpha, beta=beta), tmp_path)
    assert steps(network)[:2] == (beta, 1.0)
    assert only(network).current_retention.tolist() == [alpha]
    assert network.find("1").note == (
        "CubaLIF: dt 0.0001 s (r dt / tau is 1, as snnTorch and SpikingJelly write it); "
        f"decay {beta:g} per step, of the current {alpha:g}; input gain 1"
    )


def test_snntorch_synaptic_with_late_subtraction_is_what_its_default_does(tmp_path: Path) -> None:
    """``syn = alpha syn + x; mem = beta mem + syn - spike of the step before * threshold``."""
    alpha, beta = 0.7, 0.9
    path = tmp_path / "net.nir"
    nir.write(path, chain(nir.Linear(np.full((1, 3), 0.17, np.float32)), cuba(1, alpha=alpha, beta=beta), outputs=1))
    network = spikeloom.read_nir(path, reset="subtract-late")
    spikes = np.random.default_rng(5).random((1, 300, 3)) < 0.4
    syn, mem, fired, expected = 0.0, 0.0, False, []
    for step in range(300):
        syn = alpha * syn + float(np.float32(0.17)) * spikes[0, step].sum()
        mem = beta * mem + syn - fired
        fired = mem > 1
        expected.append(fired)
    assert 30 < sum(expected) < 270
    assert evaluate(network, spikes)["1"][0, :, 0].tolist() == expected


def cuba_of(tau_syn: float, tau_mem: float, **changes: float) -> nir.CubaLIF:
    """One neuron with w_in and r of 1."""
    return cuba(1, **({"tau_syn": tau_syn, "tau_mem": tau_mem, "r": 1.0, "w_in": 1.0} | changes))


@pytest.mark.parametrize(
    ("node", "options", "current", "decay", "gain", "reason"),
    [
        (cuba_of(0.005, 0.01), {}, 0.8, 0.9, 0.02, "dt 0.001 s (r is 1, as Norse writes it with its step of 1 ms)"),
        (cuba_of(5.0, 10.0), {}, 0.8, 0.9, 0.02, "dt 1 step (tau above 1 with r of 1 counts steps, as Sinabs writes it)"),
        (cuba_of(0.5, 10.0), {"dt": 0.1}, 0.8, 0.99, 0.002, "dt 0.1 s (as told)"),
        (cuba_of(5e-4, 0.01), {}, 0.8, 0.99, 0.002, "dt 0.0001 s (r is 1 and tau below 1 ms, as SpikingJelly writes it)"),
        (cuba_of(0.005, 0.01, w_in=5.0), {}, 0.8, 0.9, 0.1, "dt 0.001 s"),
        (cuba_of(0.005, 0.01, r=3.0), {"dt": 1e-3}, 0.8, 0.9, 0.06, "dt 0.001 s (as told)"),
        (cuba_of(5.0, 10.0), {"dt": "steps"}, 0.8, 0.9, 0.02, "dt 1 step (time constants count steps)"),
        (cuba_of(0.02, 0.02, r=19.0, w_in=20.0), {}, 0.95, 0.95, 0.95, "dt 0.001 s (tau / (1 + r), as Rockpool reads it)"),
        (
            cuba_of(5.0, 10.0, r=2.0),
            {"dt": "steps", "integrator": "exact"},
            round(math.exp(-0.2), 6),
            round(math.exp(-0.1), 6),
            2 * (1 - math.exp(-0.1)) * (1 - math.exp(-0.2)),
            "dt 1 step",
        ),
    ],
)
def test_both_decays_and_the_gain_of_a_current(
    node: nir.CubaLIF, options: dict[str, Any], current: float, decay: float, gain: float, reason: str, tmp_path: Path
) -> None:
    network = exported(node, tmp_path, **options)
    found = steps(network)
    assert only(network).current_retention[0] == pytest.approx(current, abs=1e-6)
    assert found[:2] == pytest.approx((decay, gain), rel=1e-5)
    assert reason in found[2]


def test_rockpool_corrected_as_documented_is_its_own_step() -> None:
    """``isyn += x; isyn *= exp(-dt/tau_syn); v = exp(-dt/tau_mem) v + isyn``, then the threshold is subtracted."""
    dt, tau_syn, tau_mem = 1e-3, 0.004, 0.02
    node = cuba_of(tau_syn, tau_mem, r=tau_mem * math.exp(-dt / tau_mem) / dt)
    node.w_in = np.exp(-dt / node.tau_syn) / (1 - np.exp(-dt / node.tau_syn))
    node.tau_syn, node.tau_mem = (dt / (1 - np.exp(-dt / tau)) for tau in (node.tau_syn, node.tau_mem))
    node.r = node.tau_mem / dt
    network = spikeloom.read_nir(chain(nir.Linear(np.full((1, 3), 0.13)), node, outputs=1), dt=dt, reset="subtract")
    spikes = np.random.default_rng(5).random((1, 300, 3)) < 0.3
    isyn, v, expected = 0.0, 0.0, []
    for step in range(300):
        isyn = (isyn + 0.13 * spikes[0, step].sum()) * math.exp(-dt / tau_syn)
        v = math.exp(-dt / tau_mem) * v + isyn
        expected.append(v > 1)
        v -= expected[-1]
    assert 30 < sum(expected) < 270
    assert evaluate(network, spikes)["1"][0, :, 0].tolist() == expected


def test_norse_corrected_as_documented_is_its_own_step_but_one_step_earlier() -> None:
    """``v += dt/tau_mem (i - v)``, spike and reset, ``i = (1 - dt/tau_syn) i + x``."""
    node = cuba_of(0.005, 0.01)
    node.w_in = node.tau_syn / 1e-3
    network = spikeloom.read_nir(chain(nir.Linear(np.full((1, 3), 0.5)), node, outputs=1))
    spikes = np.random.default_rng(6).random((1, 300, 3)) < 0.3
    i, v, expected = 0.0, 0.0, []
    for step in range(300):
        v = v + 0.1 * (i - v)
        expected.append(v > 1)
        v = 0.0 if v > 1 else v
        i = 0.8 * i + 0.5 * spikes[0, step].sum()
    assert 15 < sum(expected) < 270
    assert evaluate(network, spikes)["1"][0, :-1, 0].tolist() == expected[1:]


def test_a_current_of_a_file_without_w_in_and_v_reset() -> None:
    source = chain(nir.Linear(np.ones((1, 1))), cuba_of(5.0, 10.0), inputs=1, outputs=1).to_dict()
    for name in ("w_in", "v_reset"):
        del source["nodes"]["1"][name]
    bare = nir.NIRGraph.from_dict(source)
    assert steps(spikeloom.read_nir(bare))[:2] == pytest.approx((0.9, 0.02))
    assert only(spikeloom.read_nir(bare)).reset.tolist() == [0.0]


@pytest.mark.parametrize(
    ("reset", "mode", "amount"), [("nir", "value", -0.25), ("zero", "value", 0.0), ("subtract", "subtract", 2.0)]
)
def test_a_current_does_not_change_the_reset(reset: Any, mode: str, amount: float) -> None:
    found = only(spikeloom.read_nir(chain(linear(3, 3), cuba(v_reset=-0.25, v_threshold=2.0)), reset=reset))
    assert (found.reset_mode, found.reset.tolist()) == (mode, [amount] * 3)


def test_cubali_never_fires_and_leaks_towards_v_leak() -> None:
    node = nir.CubaLI(tau_syn=np.full(3, 5.0), tau_mem=np.full(3, 10.0), r=np.ones(3), v_leak=np.full(3, -2.0))
    network = spikeloom.read_nir(chain(linear(3, 3), node))
    assert np.isinf(only(network).threshold).all()
    assert only(network).bias == pytest.approx([-0.2] * 3)
    assert only(network).current_retention.tolist() == [0.8] * 3
    assert not evaluate(network, np.ones((1, 50, 3), np.bool_))["1"].any()


def test_a_constant_input_rises_with_the_current() -> None:
    """What a bias in front of a current does, by hand; a potential that only got the bias itself would fire at once."""
    biased = nir.Affine(np.full((1, 1), 0.5), np.full(1, 0.05))
    network = spikeloom.read_nir(chain(biased, cuba(1, alpha=0.9, beta=0.8), inputs=1, outputs=1))
    assert [p.label for p in network.populations] == ["input", "1", "constant"]
    assert network.find("constant").note == "fires in every step: constant input of 1"
    spikes = np.random.default_rng(3).random((1, 200, 1)) < 0.1
    syn, mem, expected = 0.0, 0.0, []
    for step in range(200):
        syn = 0.9 * syn + 0.5 * spikes[0, step, 0] + 0.05
        mem = 0.8 * mem + syn
        expected.append(mem > 1)
        mem = 0.0 if mem > 1 else mem
    assert not expected[0]
    assert 50 < sum(expected) < 180
    assert evaluate(network, spikes)["1"][0, :, 0].tolist() == expected
    core = CoreConfig(axons=8, neurons=8, weight_bits=16, models=(Lif(current_bits=28, state_bits=28),))
    found = spikeloom.open("golden", spikeloom.compile(network, config=ChipConfig(cores=(core,)))).run(spikes)
    assert found[0, :, 0].tolist() == expected


def test_a_node_may_have_the_name_of_the_constant() -> None:
    nodes = {
        "constant": nir.Input(np.array([1])),
        "w": nir.Affine(np.ones((1, 1)), np.ones(1)),
        "n": cuba(1),
        "output": nir.Output(np.array([1])),
    }
    network = spikeloom.read_nir(graph(nodes, [("constant", "w"), ("w", "n"), ("n", "output")]))
    assert [p.label for p in network.populations] == ["constant", "n", "constant_"]


@pytest.mark.parametrize("name", ["tau_syn", "tau_mem"])
@pytest.mark.parametrize("value", [0.0, -0.02])
def test_a_time_constant_of_a_current_that_is_not_above_zero_is_refused(name: str, value: float) -> None:
    source = chain(cuba(1, **{name: value}), inputs=1, outputs=1)
    for dt in ("auto", "steps", 1e-4):
        with pytest.raises(NetworkError, match=rf"node '0' \(CubaLIF\): {name} is {value:g}; it must be above 0"):
            spikeloom.read_nir(source, dt=dt)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["tau_syn", "tau_mem"])
def test_a_time_constant_of_a_current_below_the_step_is_refused_but_for_the_exact_integrator(name: str) -> None:
    source = chain(cuba_of(**({"tau_syn": 0.01, "tau_mem": 0.01} | {name: 5e-4})), inputs=1, outputs=1)
    message = f"node '0' (CubaLIF): {name} is 0.0005, shorter than the step of 0.001 (as told); choose a smaller dt, or integrator='exact'"
    with pytest.raises(NetworkError, match=re.escape(message)):
        spikeloom.read_nir(source, dt=1e-3)
    found = only(spikeloom.read_nir(source, dt=1e-3, integrator="exact"), "0")
    kept = {"tau_syn": found.current_retention, "tau_mem": found.retention}[name]
    assert kept.tolist() == [round(math.exp(-2), 6)]


def test_a_step_of_a_current_that_cannot_be_inferred_is_asked_for() -> None:
    source = chain(cuba_of(0.01, 0.01, r=-2.0), inputs=1, outputs=1)
    with pytest.raises(NetworkError, match=r"node '0' \(CubaLIF, tau_syn = .*\): its time step cannot be inferred; say dt="):
        spikeloom.read_nir(source)


@pytest.mark.parametrize(("bits", "least"), [(8, (0.95, 0.9)), (16, (0.997, 0.985))])
def test_a_current_of_a_file_follows_its_equations_on_the_chip(bits: int, least: tuple[float, float]) -> None:
    """1000 steps of two layers: the integers are those of the chip, and nearly all spikes those of float64 (forward Euler)."""
    rng = np.random.default_rng(11)
    sizes = (20, 30, 10)
    layers = [
        nir.Linear(rng.normal(mean, 0.08, (post, pre)).astype(np.float32))
        for mean, pre, post in zip((0.02, -0.015), sizes, sizes[1:], strict=False)
    ]
    source = chain(
        layers[0], cuba(30, alpha=0.8, beta=0.9), layers[1], cuba(10, alpha=0.9, beta=0.95, v_reset=-0.2), inputs=20, outputs=10
    )
    network = spikeloom.read_nir(source)
    spikes = rng.random((4, 1000, 20)) < 0.2
    model = Lif(state_bits=28, current_bits=28, fraction_bits={8: 6, 16: 2}[bits])
    core = CoreConfig(axons=64, neurons=64, weight_bits=bits, models=(model,))
    device = spikeloom.open("golden", spikeloom.compile(network, config=ChipConfig(cores=(core,))))
    device.run(spikes, record=["1", "3"])
    real = evaluate(network, spikes)
    integer = evaluate(network, spikes, quantise(network, core))
    for label, share in zip(("1", "3"), least, strict=True):
        assert np.array_equal(device.recorded[label].spikes, integer[label]), label
        assert 0.02 < real[label].mean() < 0.7, label
        equal = float((real[label] == integer[label]).mean())
        assert equal > share, (label, equal)
        rates = np.abs(real[label].mean(axis=(0, 1)) - integer[label].mean(axis=(0, 1)))
        assert rates.max() < 0.015, (label, rates.max())


# Numbers -----------------------------------------------------------------------------------------------------------------


def test_leak_towards_v_leak_and_linear_bias_become_a_constant_input() -> None:
    node = lif(1, tau=0.01, r=2.0, v_leak=-3.0)
    affine = nir.Affine(np.ones((1, 1)), np.full(1, 0.5))
    network = spikeloom.read_nir(chain(affine, node, inputs=1, outputs=1), dt=1e-3)
    # 0.1 v_leak + 0.1 r bias = -0.3 + 0.2 * 0.5
    assert only(network).bias[0] == pytest.approx(-0.2)


def test_v_reset_of_the_file_is_kept_or_overruled() -> None:
    source = chain(linear(3, 3), lif(v_reset=-0.25, v_threshold=2.0))
    assert only(spikeloom.read_nir(source)).reset.tolist() == [-0.25] * 3
    assert only(spikeloom.read_nir(source, reset="zero")).reset.tolist() == [0.0] * 3
    assert only(spikeloom.read_nir(source, reset="subtract")).reset.tolist() == [2.0] * 3
    late = only(spikeloom.read_nir(source, reset="subtract-late"))
    assert late.reset.tolist() == [2.0 / 0.9] * 3
    assert late.reset_mode == "subtract"


def test_li_never_fires_and_shows_its_potential() -> None:
    node = nir.LI(tau=np.full(3, 0.01), r=np.ones(3), v_leak=np.zeros(3))
    network = spikeloom.read_nir(chain(linear(3, 3), node), reset="subtract")
    assert np.isinf(only(network).threshold).all()
    assert only(network).reset.tolist() == [0.0] * 3
    assert not evaluate(network, np.ones((1, 50, 3), np.bool_))["1"].any()


def test_the_digits_network_that_is_shipped_is_read_as_it_was_trained() -> None:
    path = Path(spikeloom.__file__).parents[1] / "examples" / "digits" / "digits.nir"
    network = spikeloom.read_nir(path)
    for layer in (p for p in network.populations if not p.is_input):
        assert "input gain 1" in layer.note
        assert layer.neurons is not None
        assert len(np.unique(layer.neurons.retention)) == 1


# Linear nodes ------------------------------------------------------------------------------------------------------------


def test_linear_nodes_in_a_row_are_multiplied_and_their_biases_carried_through() -> None:
    first, second = (
        nir.Affine(np.array([[1.0, 2, 3], [4, 5, 6]]), np.array([1.0, -1])),
        nir.Linear(np.array([[2.0, 1], [0, 3], [1, 1]])),
    )
    scale = nir.Scale(np.array([1.0, 10, 100]))
    network = spikeloom.read_nir(chain(first, second, scale, spiking()))
    expected = np.diag(scale.scale) @ second.weight @ first.weight
    assert np.array_equal(matrices(network)["input", "3"], expected.T)
    assert only(network, "3").bias.tolist() == (np.diag(scale.scale) @ second.weight @ first.bias).tolist()


def test_neurons_straight_behind_an_input_or_each_other_have_one_weight_each() -> None:
    network = spikeloom.read_nir(chain(spiking(), nir.Scale(np.array([2.0, 3, 4])), spiking()))
    assert np.array_equal(matrices(network)["input", "0"], np.eye(3))
    assert np.array_equal(matrices(network)["0", "2"], np.diag([2.0, 3, 4]))


def test_edges_into_one_node_add_up() -> None:
    weights = {name: linear(2, 3, seed) for seed, name in enumerate("abc")}
    biased = nir.Affine(weights["c"].weight, np.array([0.5, -0.5]))
    nodes = {
        "input": nir.Input(np.array([3])),
        "a": weights["a"],
        "b": weights["b"],
        "c": biased,
        "n": spiking(2),
        "output": nir.Output(np.array([2])),
    }
    edges = [("input", "a"), ("input", "b"), ("input", "c"), ("a", "n"), ("b", "n"), ("c", "n"), ("n", "output")]
    network = spikeloom.read_nir(graph(nodes, edges))
    total = sum(np.asarray(node.weight, np.float64) for node in weights.values())
    assert matrices(network)["input", "n"] == pytest.approx(total.T)
    assert only(network, "n").bias.tolist() == [0.5, -0.5]
    assert len(network.projections) == 1


def test_a_way_around_a_linear_node_adds_to_it() -> None:
    weight = linear(3, 3)
    nodes = {"input": nir.Input(np.array([3])), "w": weight, "n": spiking(), "output": nir.Output(np.array([3]))}
    network = spikeloom.read_nir(graph(nodes, [("input", "w"), ("input", "n"), ("w", "n"), ("n", "output")]))
    assert matrices(network)["input", "n"] == pytest.approx(weight.weight.T + np.eye(3))


def test_a_large_input_needs_no_matrix_of_its_own_size() -> None:
    """128 x 128 pixels of two polarities: a square matrix of that size would take 8.6 gigabytes."""
    size = 128 * 128 * 2
    network = spikeloom.read_nir(
        chain(nir.Flatten({"input": np.array([2, 128, 128])}, 0), linear(2, size), spiking(2), inputs=size, outputs=2)
    )
    assert matrices(network)["input", "2"].shape == (size, 2)


def test_a_self_loop_acts_on_the_spikes_of_the_step_before() -> None:
    """One neuron that passes its input on, and its own spike as long as nothing inhibits it."""
    nodes = {
        "input": nir.Input(np.array([2])),
        "w_in": nir.Linear(np.array([[1.0, -5.0]])),
        "w_rec": nir.Linear(np.array([[1.0]])),
        "n": nir.IF(r=np.ones(1), v_threshold=np.full(1, 0.5)),
        "output": nir.Output(np.array([1])),
    }
    edges = [("input", "w_in"), ("w_in", "n"), ("n", "w_rec"), ("w_rec", "n"), ("n", "output")]
    network = spikeloom.read_nir(graph(nodes, edges))
    assert network.delays() == [0, 1]
    spikes = np.zeros((1, 6, 2), np.bool_)
    spikes[0, 1, 0] = True  # starts it
    spikes[0, 4, 1] = True  # ends it
    assert evaluate(network, spikes)["n"][0, :, 0].tolist() == [False, True, True, True, False, False]


def test_several_inputs_and_outputs_follow_their_names() -> None:
    nodes = {
        "in_b": nir.Input(np.array([2])),
        "in_a": nir.Input(np.array([3])),
        "wb": linear(2, 2, 1),
        "wa": linear(2, 3, 2),
        "n": spiking(2),
        "w2": linear(4, 2, 3),
        "m": spiking(4),
        "out_z": nir.Output(np.array([2])),
        "out_y": nir.Output(np.array([4])),
    }
    edges = [("in_a", "wa"), ("in_b", "wb"), ("wa", "n"), ("wb", "n"), ("n", "out_z"), ("n", "w2"), ("w2", "m"), ("m", "out_y")]
    network = spikeloom.read_nir(graph(nodes, edges))
    assert [(p.label, p.size) for p in network.inputs] == [("in_a", 3), ("in_b", 2)]
    assert [p.label for p in network.outputs] == ["m", "n"]


# Bad options and networks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dt": 0}, "dt is 0; it must be a number of seconds above 0, 'auto' or 'steps'"),
        ({"dt": -1e-3}, "dt is -0.001; it must be a number of seconds above 0"),
        ({"dt": math.nan}, "dt is nan; it must be a number of seconds above 0"),
        ({"dt": math.inf}, "dt is inf; it must be a number of seconds above 0"),
        ({"dt": "fast"}, "dt is 'fast'; it must be a number of seconds above 0, 'auto' or 'steps'"),
        ({"dt": None}, "dt is None; it must be a number of seconds above 0"),
        ({"reset": "hard"}, "reset is 'hard'; it must be nir, zero, subtract or subtract-late"),
        ({"integrator": "rk4"}, "integrator is 'rk4'; it must be euler or exact"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(NetworkError, match=re.escape(message)):
        spikeloom.read_nir(chain(linear(3, 3), lif()), **options)


@pytest.mark.parametrize(
    "node",
    [
        lif_of(0.01, -2.0),
        lif_of(0.01, 0.0),
        nir.IF(r=np.full(1, -1.0), v_threshold=np.ones(1)),
        nir.IF(r=np.zeros(1), v_threshold=np.ones(1)),
        nir.LI(tau=np.full(1, 0.01), r=np.full(1, -2.0), v_leak=np.zeros(1)),
    ],
)
def test_a_step_that_cannot_be_inferred_is_asked_for(node: nir.NIRNode) -> None:
    source = chain(nir.Linear(np.ones((1, 1))), node, inputs=1, outputs=1)
    message = rf"node '1' \({type(node).__name__}, .*\): its time step cannot be inferred; say dt= in seconds, or dt='steps'"
    with pytest.raises(NetworkError, match=message):
        spikeloom.read_nir(source)
    assert spikeloom.read_nir(source, dt=1e-3).dt == 1.0


def test_if_neurons_of_different_r_need_a_step() -> None:
    source = chain(linear(2, 3), nir.IF(r=np.array([1.0, 2.0]), v_threshold=np.ones(2)), outputs=2)
    with pytest.raises(NetworkError, match="its time step cannot be inferred"):
        spikeloom.read_nir(source)
    assert matrices(spikeloom.read_nir(source, dt=0.5))["input", "1"].shape == (3, 2)


@pytest.mark.parametrize("tau", [0.0, -0.02])
@pytest.mark.parametrize("dt", ["auto", "steps", 1e-3])
@pytest.mark.parametrize("kind", ["LIF", "LI"])
def test_a_time_constant_that_is_not_above_zero_is_refused(tau: float, dt: Any, kind: str) -> None:
    node = lif_of(tau, 1.0) if kind == "LIF" else nir.LI(tau=np.full(1, tau), r=np.ones(1), v_leak=np.zeros(1))
    with pytest.raises(NetworkError, match=rf"node '0' \({kind}\): tau is {tau:g}; it must be above 0"):
        spikeloom.read_nir(chain(node, inputs=1, outputs=1), dt=dt)


def test_a_time_constant_shorter_than_the_step_is_refused_but_for_the_exact_integrator() -> None:
    source = chain(lif_of(5e-4, 1.0), inputs=1, outputs=1)
    message = "node '0' (LIF): tau is 0.0005, shorter than the step of 0.001 (as told); choose a smaller dt, or integrator='exact'"
    with pytest.raises(NetworkError, match=re.escape(message)):
        spikeloom.read_nir(source, dt=1e-3)
    assert only(spikeloom.read_nir(source, dt=1e-3, integrator="exact"), "0").retention[0] == round(math.exp(-2), 6)
    assert only(spikeloom.read_nir(source, dt=5e-4), "0").retention[0] == 0.0


def test_a_negative_threshold_cannot_be_subtracted() -> None:
    source = chain(linear(3, 3), lif(v_threshold=-1.0))
    assert only(spikeloom.read_nir(source)).threshold.tolist() == [-1.0] * 3
    with pytest.raises(NetworkError, match="node '1': the threshold -1 is negative and cannot be subtracted"):
        spikeloom.read_nir(source, reset="subtract")


def test_a_late_subtraction_needs_something_that_is_left() -> None:
    with pytest.raises(NetworkError, match="node '0': a late subtraction needs a decay above 0"):
        spikeloom.read_nir(chain(lif_of(1e-3, 1.0), inputs=1, outputs=1), dt=1e-3, reset="subtract-late")


@pytest.mark.parametrize(
    "nodes", [(spiking(), linear(3, 3)), (spiking(), nir.Scale(np.full(3, 2.0))), (spiking(), nir.Affine(np.eye(3), np.ones(3)))]
)
def test_an_output_behind_a_linear_node_is_refused(nodes: tuple[nir.NIRNode, ...]) -> None:
    message = "must show the spikes of one neuron node as they are, but what reaches it is a sum or linear function of ['0']; add a neuron"
    with pytest.raises(NetworkError, match="the Output node 'output' " + re.escape(message)):
        spikeloom.read_nir(chain(*nodes))


def test_an_output_of_two_populations_is_refused() -> None:
    nodes = {"input": nir.Input(np.array([3])), "a": spiking(), "b": spiking(), "output": nir.Output(np.array([3]))}
    source = graph(nodes, [("input", "a"), ("input", "b"), ("a", "output"), ("b", "output")])
    with pytest.raises(NetworkError, match=re.escape("a sum or linear function of ['a', 'b']")):
        spikeloom.read_nir(source)


def test_an_output_straight_behind_an_input_is_refused() -> None:
    with pytest.raises(
        NetworkError, match="the Input 'input' leads straight to the Output 'output'; add a neuron node between them"
    ):
        spikeloom.read_nir(chain())


def test_an_output_that_nothing_reaches_is_refused() -> None:
    source = graph({"input": nir.Input(np.array([3])), "n": spiking(), "output": nir.Output(np.array([3]))}, [("input", "n")])
    with pytest.raises(NetworkError, match="nothing leads to the Output node 'output'"):
        spikeloom.read_nir(source)


def test_a_loop_of_linear_nodes_is_refused_with_its_names() -> None:
    nodes = {
        "input": nir.Input(np.array([3])),
        "a": linear(3, 3),
        "b": nir.Scale(np.ones(3)),
        "n": spiking(),
        "output": nir.Output(np.array([3])),
    }
    source = graph(nodes, [("input", "a"), ("a", "b"), ("b", "a"), ("b", "n"), ("n", "output")])
    with pytest.raises(NetworkError, match="the loop b -> a -> b passes through no neuron, so its value is not defined"):
        spikeloom.read_nir(source)
