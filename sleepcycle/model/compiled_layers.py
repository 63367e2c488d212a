"""Layers compiled by torch: fewer and larger kernels, where a run is long enough."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer

from sleepcycle.model.base import Base
from sleepcycle.model.pace import StepWork

LAYER_S = 7e-4  # that a layer's kernels take, forward and backward, however little
EAGER_SHARE = 0.25  # of the peak, that they reach uncompiled at best
USUAL_PEAK = 1e14  # operations a second, of a GPU that is not known
PAYS_S = 90.0  # of a run, of which a third is saved; compiling takes half a minute


def compiles(base: Base, ahead: Sequence[StepWork], peak: float | None) -> bool:
    """Return whether a run compiles the base's layers, if it is captured at all.

    Args:
        base: The base, with `model.compile`.
        ahead: The run's steps.
        peak: Operations a second that its device does at most, where it is known.
    """
    if base.compiling != "auto":
        return base.compiling == "on"
    layers = base.model.config.get_text_config().num_hidden_layers
    return pays(ahead, layers, peak)


def pays(ahead: Sequence[StepWork], layers: int, peak: float | None) -> bool:
    """Return whether a run saves more time than it takes to compile a layer.

    Args:
        ahead: Its steps.
        layers: Of the model.
        peak: Operations a second that the device does at most, where it is known.
    """
    fastest = EAGER_SHARE * (peak or USUAL_PEAK)
    return sum(max(layers * LAYER_S, one.flop / fastest) for one in ahead) >= PAYS_S


@contextmanager
def compiled_layers(model: nn.Module) -> Iterator[None]:
    """Let layers run compiled meanwhile; what cannot be compiled runs as it is.

    One layer's code serves them all, and all numbers of tokens.
    """
    layers = [m for m in model.modules() if isinstance(m, GradientCheckpointingLayer)]
    for layer in layers:
        layer.forward = torch.compile(layer.forward, dynamic=True)
    try:
        with torch._dynamo.config.patch(suppress_errors=True):
            yield
    finally:
        for layer in layers:
            del layer.forward
