"""An order: everything typed about a search but the problem, made into the engine's values."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tts.errors import ConfigError

if TYPE_CHECKING:
    from tts.budget.budget import Budget
    from tts.presets import Preset
    from tts.select import Selector
    from tts.strategy import Strategy
    from tts.verifier import Verifier

_VERIFIER = "verifier."


@dataclass(frozen=True, slots=True)
class Order:
    """As typed; each method parses its part and raises `ConfigError` for what cannot be used."""

    policy: str = "nano"
    verifier: str | None = None
    strategy: str = "best_of_n"
    knobs: tuple[str, ...] = ()
    n: int | None = None
    budget: str | None = None
    deadline: str | None = None
    flops: str | None = None
    samples: str | None = None
    select: str | None = None
    seed: int = 0
    temperature: float | None = None
    speculate: int | None = None

    def make_strategy(self) -> Strategy:
        from tts.config import make_with

        pairs = [pair for pair in self._set() if not pair[0].startswith(_VERIFIER)]
        if self.n is not None:
            pairs.append(("n", str(self.n)))
        name = self.strategy.partition(":")[0]
        built: Strategy = make_with("strategies", self.strategy, pairs)
        if built.needs_verifier and self.verifier is None:
            from tts.registry import names

            raise ConfigError(
                f"strategy {name!r} decides by verdicts: add --verifier NAME "
                f"(installed: {', '.join(names('verifiers')) or 'none'})"
            )
        return built

    def preset(self) -> Preset | None:
        """The one that the strategy's name names."""
        from tts.presets import presets
        from tts.spec import parse

        return presets().get(parse(self.strategy).name)

    @property
    def named_selector(self) -> str | None:
        """As typed, or the preset's; None: the strategy's own, or what fits the verifier."""
        preset = self.preset()
        return self.select or (None if preset is None else preset.select)

    def make_selector(self, strategy: Strategy) -> Selector:
        """What chooses among the answers that `strategy` finds."""
        from tts.given import selector_of
        from tts.select import fitting

        named = selector_of(self.named_selector)
        return named or fitting(strategy, judged=self.verifier is not None)

    @property
    def own_temperature(self) -> float | None:
        """Of the policy: as typed, the preset's, or None for its makers'."""
        preset = self.preset()
        if self.temperature is not None or preset is None:
            return self.temperature
        return preset.temperature

    def make_verifier(self) -> Verifier | None:
        from tts.config import make_with

        pairs = [
            (knob.removeprefix(_VERIFIER), value)
            for knob, value in self._set()
            if knob.startswith(_VERIFIER)
        ]
        if self.verifier is None:
            if pairs:
                raise ConfigError(f"--set {_VERIFIER}{pairs[0][0]} needs a --verifier")
            return None
        built: Verifier = make_with("verifiers", self.verifier, pairs)
        return built

    def make_budget(self) -> Budget:
        from tts.budget.budget import UNLIMITED, Budget, duration, quantity, written

        try:
            limits = dict((UNLIMITED if self.budget is None else written(self.budget)).limits())
        except ConfigError as error:
            raise ConfigError(f"--budget: {error}") from None
        for option, unit, parse, text in (
            ("--flops", "flops", quantity, self.flops),
            ("--deadline", "seconds", duration, self.deadline),
            ("--samples", "samples", quantity, self.samples),
        ):
            if (value := _parsed(option, parse, text)) is not None:
                if unit in limits:
                    raise ConfigError(f"{unit} are limited by --budget and by {option}")
                limits[unit] = value
        return Budget(**limits)

    def words(self) -> list[str]:
        """Options that repeat this order: those that are not at their defaults, and the seed."""
        default = Order()
        words: list[str] = []
        for name in ("policy", "verifier", "strategy"):
            if getattr(self, name) != getattr(default, name):
                words += [f"--{name}", getattr(self, name)]
        for knob in self.knobs:
            words += ["--set", knob]
        for name in (
            "n",
            "budget",
            "deadline",
            "flops",
            "samples",
            "select",
            "temperature",
            "speculate",
        ):
            if getattr(self, name) is not None:
                words += [f"--{name}", str(getattr(self, name))]
        return [*words, "--seed", str(self.seed)]

    def _set(self) -> list[tuple[str, str]]:
        from tts.config import pair

        return [pair(knob, "--set") for knob in self.knobs]


def _parsed(option: str, parse: Callable[[str], float], text: str | None) -> float | None:
    if text is None:
        return None
    try:
        value = parse(text)
    except ConfigError as error:
        raise ConfigError(f"{option}: {error}") from None
    if not 0 < value < math.inf:
        raise ConfigError(f"{option} {text}: must be a finite number above 0")
    return value
