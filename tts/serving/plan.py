"""Plan: a device's memory divided between the servers of a policy and a verifier.

What weights and workspaces leave is for caches. It is divided so that both caches hold the tries
of the same number of problems: whichever were smaller would decide how many can be live, and the
rest of the other would stand empty. Each cache holds at least one context, or its engine would not
start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from tts.errors import ConfigError
from tts.serving.devices import GIB, Device
from tts.serving.shapes import PRECISIONS, Precision, Shape
from tts.serving.traffic import Traffic

Role = Literal["policy", "verifier"]

GPU_WORKSPACE: Final = 3 * GIB
"""A server's activations, CUDA graphs and driver context: an allowance, not a measurement."""
CPU_WORKSPACE: Final = 2 * GIB
"""What a server with a tiny model took (vLLM 0.32 and SGLang 0.5.23: 1.7-2.1 GB)."""
LEAST_CONTEXT: Final = 4096
"""Tokens that a server is started for at least, if its model goes so far: a choice."""


@dataclass(frozen=True, slots=True)
class Demand:
    """One model, and what a problem asks of it."""

    role: Role
    shape: Shape
    precision: Precision
    traffic: Traffic
    adapter_bytes: int = 0
    """Of a LoRA adapter that makes the server's model this one."""

    @property
    def weights(self) -> int:
        """Bytes, adapters left out."""
        return self.shape.parameters * self.precision.weight_bytes

    @property
    def token_bytes(self) -> int:
        """What a token takes in the cache."""
        return self.shape.cache_numbers() * self.precision.cache_bytes

    @property
    def trie_bytes(self) -> int:
        """What a live problem takes in the cache."""
        return self.traffic.trie * self.token_bytes


@dataclass(frozen=True, slots=True)
class Share:
    """One server's part of a device's memory, in bytes. Its demands have the same weights."""

    demands: tuple[Demand, ...]
    context: int
    """Longest prompt and output together that it is started for, tokens."""
    weights: int
    workspace: int
    floor: int
    """The least cache that its engine starts with: one context."""
    cache: int = 0

    @property
    def name(self) -> str:
        """Of the roles that it plays."""
        return "+".join(demand.role for demand in self.demands)

    @property
    def static(self) -> int:
        """Weights and cache."""
        return self.weights + self.cache

    @property
    def total(self) -> int:
        return self.static + self.workspace

    @property
    def token_bytes(self) -> int:
        return self.demands[0].token_bytes

    @property
    def cache_tokens(self) -> int:
        """Tokens that the cache holds."""
        return self.cache // self.token_bytes

    @property
    def trie_bytes(self) -> int:
        """Of all its roles; engines share nothing of the cache between adapters (seen)."""
        return sum(demand.trie_bytes for demand in self.demands)


@dataclass(frozen=True, slots=True)
class Plan:
    """Who gets what of a device."""

    device: Device
    shares: tuple[Share, ...]
    missing: int
    """Bytes that the device lacks; 0 if all fits."""
    least_cache: int = 0
    """Bytes below which an engine's cache cannot be."""

    @property
    def fits(self) -> bool:
        return self.missing == 0

    @property
    def free(self) -> int:
        """Bytes that nobody got, the device's spare ones included."""
        return self.device.memory - sum(share.total for share in self.shares)

    @property
    def live(self) -> float:
        """Problems whose every prefix stays in the caches at a time. Below 1, one does not fit:
        engines then throw away and compute again.
        """
        return min(share.cache / share.trie_bytes for share in self.shares)


def planned(
    device: Device,
    groups: Sequence[Sequence[Demand]],
    *,
    context: int | None = None,
    workspace: int | None = None,
    problems: int | None = None,
    least_cache: int = 0,
) -> Plan:
    """The plan for a server for each of `groups`.

    Args:
        device: that they share.
        groups: demands on each server; several on one are adapters of the same weights.
        context: of each server; None: four times the longest path, and no less than 4,096 tokens,
            as far as its model goes.
        workspace: bytes for each server besides weights and cache; None: an allowance.
        problems: most that will be live; None: as many as fit. Memory that they do not need is
            left free.
        least_cache: bytes below which an engine's cache cannot be.

    Raises:
        ConfigError: a number makes no sense.
    """
    for name, value in (("context", context), ("workspace", workspace), ("problems", problems)):
        if value is not None and value < 1:
            raise ConfigError(f"{name}={value} must be at least 1")
    if workspace is None:
        workspace = CPU_WORKSPACE if device.cpu else GPU_WORKSPACE
    shares = [_bare(tuple(demands), context, workspace, least_cache) for demands in groups]
    room = device.memory - device.spare - sum(share.total for share in shares)
    floors = [share.floor for share in shares]
    if room < sum(floors):
        starved = [replace(share, cache=share.floor) for share in shares]
        return Plan(device, tuple(starved), sum(floors) - room, least_cache)
    caches = _divided(room, floors, [share.trie_bytes for share in shares])
    if problems is not None:
        needs = [max(share.floor, problems * share.trie_bytes) for share in shares]
        caches = [min(cache, need) for cache, need in zip(caches, needs, strict=True)]
    given = [replace(share, cache=cache) for share, cache in zip(shares, caches, strict=True)]
    return Plan(device, tuple(given), 0, least_cache)


def _bare(
    demands: tuple[Demand, ...], context: int | None, workspace: int, least_cache: int
) -> Share:
    """A server before it gets a cache."""
    shape = demands[0].shape
    longest = max(demand.traffic.longest for demand in demands)
    wanted = context or max(LEAST_CONTEXT, 4 * longest)
    if longest > shape.context:
        raise ConfigError(
            f"{shape.name} has a context of {shape.context:,} tokens, and a path of this search "
            f"takes {longest:,}: fewer or shorter steps, such as --length depth=4 or --length "
            "vote=100, or another model"
        )
    if longest > wanted:
        raise ConfigError(f"context={wanted} is less than a path of this search: {longest:,}")
    weights = demands[0].weights + sum(demand.adapter_bytes for demand in demands)
    context = min(shape.context, wanted)
    floor = max(least_cache, context * demands[0].token_bytes)
    return Share(demands, context, weights, workspace, floor)


def _divided(room: int, floors: Sequence[int], tries: Sequence[int]) -> list[int]:
    """`room` in proportion to `tries`, none below its floor; the sum is `room` at most."""
    parts = [room * trie // sum(tries) for trie in tries]
    low = [index for index, part in enumerate(parts) if part < floors[index]]
    if not low:
        return parts
    fixed = {index: floors[index] for index in low}
    others = [index for index in range(len(tries)) if index not in fixed]
    rest = _divided(
        room - sum(fixed.values()), [floors[i] for i in others], [tries[i] for i in others]
    )
    fixed.update(zip(others, rest, strict=True))
    return [fixed[index] for index in range(len(tries))]


def remedies(plan: Plan) -> list[str]:
    """What would make a plan fit that does not, each tried and found to."""
    if plan.fits:
        return []
    groups = [share.demands for share in plan.shares]
    found: list[str] = []

    def fits(changed: Sequence[Sequence[Demand]], context: int | None) -> bool:
        again = planned(
            plan.device,
            changed,
            context=context,
            workspace=plan.shares[0].workspace,
            least_cache=plan.least_cache,
        )
        return again.fits

    context = max(share.context for share in plan.shares)
    shortest = max(demand.traffic.longest for share in plan.shares for demand in share.demands)
    if shortest < context and fits(groups, shortest):
        found.append(f"a shorter context: {shortest:,} tokens")
    for precision in PRECISIONS.values():
        smaller = [[replace(each, precision=precision) for each in group] for group in groups]
        before = groups[0][0].precision
        if precision.weight_bytes < before.weight_bytes and fits(smaller, context):
            found.append(f"smaller weights: {precision.name}")
    if len(groups) > 1:
        alone = [share.name for share in plan.shares if fits([share.demands], share.context)]
        found += [f"the {name} alone, and the other model on another device" for name in alone]
    return found
