"""Budget: the limits of a search, in any combination of units; all of them hard."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Final, NamedTuple

from tts.budget.prices import Prices
from tts.errors import ConfigError, unknown
from tts.types import POLICY, Account, Cost


class Amount(NamedTuple):
    """A quantity in every unit that a ledger counts."""

    tokens: float = 0
    flops: float = 0
    samples: float = 0
    calls: float = 0
    usd: float = 0

    @property
    def compute(self) -> float:
        """FLOPs, or tokens where nobody knows FLOPs."""
        return self.flops or self.tokens

    def plus(self, other: Amount) -> Amount:
        return Amount(
            self.tokens + other.tokens,
            self.flops + other.flops,
            self.samples + other.samples,
            self.calls + other.calls,
            self.usd + other.usd,
        )

    def minus(self, other: Amount) -> Amount:
        return Amount(
            self.tokens - other.tokens,
            self.flops - other.flops,
            self.samples - other.samples,
            self.calls - other.calls,
            self.usd - other.usd,
        )

    def times(self, factor: float) -> Amount:
        return Amount(*(quantity * factor for quantity in self))

    def at_most(self, limit: Amount) -> Amount:
        """The smaller of the two, unit by unit."""
        return Amount(*map(min, self, limit))

    def within(self, limit: Amount) -> bool:
        """Whether it is at most `limit` in every unit."""
        return (
            self.tokens <= limit.tokens
            and self.flops <= limit.flops
            and self.samples <= limit.samples
            and self.calls <= limit.calls
            and self.usd <= limit.usd
        )


NOTHING: Final = Amount()


@dataclass(frozen=True, slots=True)
class Budget:
    """What a search may spend at most. None: no limit in that unit. Limits are > 0.

    Raises:
        ConfigError: a limit is not a positive number.
    """

    tokens: float | None = None
    """Output tokens of policy and verifier together, discarded ones included."""
    flops: float | None = None
    """2 x parameters x tokens computed for the first time (prefill and decoding), summed over both
    models. What an engine computes again because its cache has lost it is reported, not counted:
    what a budget buys does not depend on what else the engine had to do."""
    seconds: float | None = None
    """Wall-clock time from the start of the search."""
    samples: float | None = None
    """Completions asked of the policy: answers, or steps where a strategy goes by steps."""
    calls: float | None = None
    """Requests to engines, both models."""
    usd: float | None = None
    """Money, at the prices of both models."""

    def __post_init__(self) -> None:
        for name, value in self.limits().items():
            if math.isnan(value) or value <= 0:
                raise ConfigError(f"budget {name}={value:g} must be a positive number")

    def limits(self) -> Mapping[str, float]:
        """The limits that are set, by name."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def amount(self) -> Amount:
        """The limits that a ledger enforces; time is kept by the search's scope."""
        return Amount(*(_or_infinite(getattr(self, unit)) for unit in Amount._fields))


UNLIMITED = Budget()


def _whole(number: float) -> int:
    return sys.maxsize if math.isinf(number) else math.floor(number)


def _or_infinite(value: float | None) -> float:
    return math.inf if value is None else value


@dataclass(frozen=True, slots=True)
class Rates:
    """What the tokens of each account weigh."""

    flops_per_token: Mapping[Account, float]
    prices: Mapping[Account, Prices] = field(default_factory=dict)
    """Of the accounts that cost money."""

    def amount(self, account: Account, cost: Cost) -> Amount:
        """`cost` in the units of a ledger."""
        return Amount(
            tokens=cost.output_tokens,
            flops=cost.new_tokens * self.flops_per_token.get(account, 0.0),
            samples=cost.samples if account == POLICY else 0,
            calls=cost.calls,
            usd=self.prices[account].of(cost) if account in self.prices else 0,
        )

    def total(self, costs: Mapping[Account, Cost]) -> Amount:
        """All accounts together."""
        total = NOTHING
        for account, cost in costs.items():
            total = total.plus(self.amount(account, cost))
        return total

    def output_within(self, account: Account, room: Amount, prompt: Cost) -> int:
        """The most tokens that one call after `prompt` may decode, so that it fits into `room`."""
        if not self.amount(account, prompt).within(room):
            return 0
        one = self.amount(account, Cost(output_tokens=1))
        left = room.minus(self.amount(account, prompt))
        rates = ((one.tokens, left.tokens), (one.flops, left.flops), (one.usd, left.usd))
        return _whole(min((rest / rate for rate, rest in rates if rate), default=math.inf))


_UNITS: Final = tuple(each.name for each in fields(Budget))

_QUANTITY = re.compile(r"(\d+(?:\.\d+)?(?:e\d+)?)\s*([kmgtpe]?)", re.IGNORECASE)
_SCALE = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "p": 1e15, "e": 1e18}


def written(text: str) -> Budget:
    """Limits as people write them: `8k` (tokens), `usd=0.02`, `tokens=8k,seconds=30s,flops=1T`.

    Raises:
        ConfigError: not such limits.
    """
    limits: dict[str, float] = {}
    for part in text.split(","):
        unit, equals, value = part.rpartition("=")
        name = unit.strip() if equals else "tokens"
        if name not in _UNITS:
            raise unknown("unit of a budget", name, _UNITS)
        if name in limits:
            raise ConfigError(f"{name} are limited twice")
        limit = (duration if name == "seconds" else quantity)(value)
        if not 0 < limit < math.inf:
            raise ConfigError(f"{name}={limit:g} must be a finite number above 0")
        limits[name] = limit
    return Budget(**limits)


def quantity(text: str) -> float:
    """A number as people write limits: `800`, `8k`, `1.5M`, `2e15`, `3P`.

    Raises:
        ConfigError: not such a number.
    """
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is not a quantity; write 800, 8k, 1.5M, 2e15 or 3P")
    return float(match[1]) * _SCALE[match[2].lower()]


_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|)")
_SECONDS = {"ms": 1e-3, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}


def duration(text: str) -> float:
    """Seconds, as people write times: `30`, `30s`, `1.5m`, `2h`, `500ms`.

    Raises:
        ConfigError: not such a time.
    """
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None:
        raise ConfigError(f"{text!r} is not a time; write 30, 30s, 1.5m, 2h or 500ms")
    return float(match[1]) * _SECONDS[match[2]]
