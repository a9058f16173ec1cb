"""Roofline: what a device can do at most for problems that search with two models.

A decoding step of `b` sequences reads the weights once and each sequence's cache, and multiplies
each token with all weights and with its context (Williams, Waterman & Patterson 2009 for the bound
by memory and by arithmetic; Pope et al. 2022, arXiv 2211.05102, sec. 2, for transformers):

    bytes   = weights + b * context * bytes per token of cache
    FLOPs   = b * (2 * parameters + 4 * layers * heads * head * context)
    seconds = max(bytes / bandwidth, FLOPs / peak)

Prompts are computed at the peak: 2 * parameters FLOPs a token. Both models share the device, so
their times add up. Real servers stay below: nothing here launches a kernel, schedules or waits, and
nothing is gained from siblings that an engine reads together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tts.serving.devices import Device
from tts.serving.plan import Demand, Plan, Role

AT_ONCE = 256
"""Requests that a backend has in flight at a server at most: the default of its `at_once`."""


@dataclass(frozen=True, slots=True)
class Rate:
    """One model's bound."""

    role: Role
    sequences: float
    """Decoded side by side."""
    tokens_per_second: float
    """While this model has the device to itself."""
    limited_by: Literal["memory", "arithmetic"]
    decode_seconds: float
    """Of the device, for a problem's output."""
    prompt_seconds: float
    """Of the device, for what a problem has computed of prompts."""

    @property
    def seconds(self) -> float:
        return self.decode_seconds + self.prompt_seconds


@dataclass(frozen=True, slots=True)
class Bound:
    """The most that a device can do under a plan."""

    rates: tuple[Rate, ...]
    tokens: int
    """Decoded for a problem by both models."""
    live: float
    """Problems in progress."""

    @property
    def device_seconds(self) -> float:
        """Of a problem: the least."""
        return sum(rate.seconds for rate in self.rates)

    @property
    def tokens_per_second(self) -> float:
        """Decoded by both models together."""
        return self.tokens / self.device_seconds

    @property
    def wait_seconds(self) -> float:
        """From a problem's beginning to its end, while as many are live as fit."""
        return self.live * self.device_seconds

    def usd(self, per_hour: float) -> float:
        """What a problem costs on a device of that price."""
        return self.device_seconds * per_hour / 3600


def bound_of(plan: Plan, at_once: int = AT_ONCE, problems: int | None = None) -> Bound | None:
    """The bound; None where the device's speed is not known, or the plan does not fit.

    `problems` is the most that are live, if that is less than what fits.
    """
    device = plan.device
    if device.bandwidth is None or device.flops is None or not plan.fits:
        return None
    live = max(1.0, min(plan.live, problems or plan.live))
    demands = [demand for share in plan.shares for demand in share.demands]
    rates = tuple(
        _rate(device, device.bandwidth, device.flops, demand, live, at_once) for demand in demands
    )
    return Bound(rates, sum(demand.traffic.output for demand in demands), live)


def _rate(
    device: Device, bandwidth: float, flops: float, demand: Demand, live: float, at_once: int
) -> Rate:
    shape, traffic = demand.shape, demand.traffic
    sequences = min(at_once, live * traffic.sequences)
    moved = demand.weights + sequences * traffic.context * demand.token_bytes
    attention = 4 * shape.layers * shape.heads * shape.head * traffic.context
    reading = moved / bandwidth
    computing = sequences * (2 * shape.parameters + attention) / flops
    per_second = sequences / max(reading, computing)
    return Rate(
        demand.role,
        sequences,
        per_second,
        "memory" if reading >= computing else "arithmetic",
        traffic.output / per_second,
        traffic.computed * 2 * shape.parameters / flops,
    )
