"""What the training scripts share: a feed-forward spiking network in snnTorch, its training, and its export to NIR.

Needs ``pip install spikeloom[train]``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import snntorch
import torch
from snntorch import surrogate
from snntorch.export_nir import export_to_nir
from torch import nn


def make_network(sizes: Sequence[int], beta: float) -> nn.Sequential:
    """Linear and leaky integrate-and-fire layers in turn, without biases, with reset to zero.

    Decays and thresholds are tensors of the layer's size, because the export refuses scalars.
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers.append(nn.Linear(inputs, outputs, bias=False))
        layers.append(
            snntorch.Leaky(
                beta=torch.full((outputs,), beta),
                threshold=torch.ones(outputs),
                reset_mechanism="zero",
                spike_grad=surrogate.fast_sigmoid(slope=10),
                init_hidden=True,
                output=False,
            )
        )
    return nn.Sequential(*layers)


def run(network: nn.Sequential, spikes: torch.Tensor) -> torch.Tensor:
    """Output spikes ``[ticks, batch, outputs]`` for input spikes ``[ticks, batch, inputs]``."""
    for layer in network:
        if isinstance(layer, snntorch.Leaky):
            layer.reset_mem()
    outputs = []
    for step in spikes:
        value = step
        for layer in network:
            value = layer(value)
        outputs.append(value)
    return torch.stack(outputs)


def fit(
    network: nn.Sequential,
    spikes: np.ndarray,
    labels: np.ndarray,
    *,
    epochs: int,
    batch: int,
    rate: float,
    seed: int,
    augment: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None,
) -> None:
    """Train on spike counts with a cross-entropy loss, the learning rate falling along a cosine.

    Parameters
    ----------
    spikes : bool array ``[samples, ticks, inputs]``
    labels : int array ``[samples]``
    augment : callable
        Changes the spikes of a batch at random, so that no image is seen twice in the same way.
    """
    generator = np.random.default_rng(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    steps = epochs * -(-len(spikes) // batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for epoch in range(epochs):
        order = generator.permutation(len(spikes))
        total, right = 0.0, 0
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            part = spikes[chosen] if augment is None else augment(spikes[chosen], generator)
            x = torch.from_numpy(part.astype(np.float32)).transpose(0, 1)
            y = torch.from_numpy(labels[chosen].astype(np.int64))
            counts = run(network, x).sum(dim=0)
            loss = nn.functional.cross_entropy(counts, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(chosen)
            right += int((counts.argmax(dim=1) == y).sum())
        print(f"epoch {epoch + 1}/{epochs}: loss {total / len(spikes):.4f}, training accuracy {100 * right / len(spikes):.2f} %")


def shifted(spikes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Square images moved by -1, 0 or 1 pixels in each direction, each at random; what leaves one side is lost."""
    samples, ticks, pixels = spikes.shape
    side = round(pixels**0.5)
    padded = np.pad(spikes.reshape(samples, ticks, side, side), ((0, 0), (0, 0), (1, 1), (1, 1)))
    result = np.empty((samples, ticks, side, side), spikes.dtype)
    for sample, (down, right) in enumerate(generator.integers(0, 3, (samples, 2))):
        result[sample] = padded[sample, :, down : down + side, right : right + side]
    return result.reshape(spikes.shape)


def accuracy(network: nn.Sequential, spikes: np.ndarray, labels: np.ndarray) -> float:
    """Share of samples whose most active output is the label; the lowest number wins a tie."""
    with torch.no_grad():
        counts = run(network, torch.from_numpy(spikes.astype(np.float32)).transpose(0, 1)).sum(dim=0)
    return float((counts.argmax(dim=1).numpy() == labels).mean())


def export(network: nn.Sequential, inputs: int, path: Path) -> None:
    """Write the network as a NIR file."""
    for layer in network:
        if isinstance(layer, snntorch.Leaky):
            layer.reset_mem()
    graph = export_to_nir(network, torch.zeros(1, inputs), ignore_dims=[0])
    nir.write(str(path), graph)
