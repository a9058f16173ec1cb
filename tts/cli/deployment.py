"""A deployment: two models, a device and a search, as typed, made into a plan.

Holds the options that `tts plan` and `tts up` share.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tts.cli.arguments import complete_strategy
from tts.errors import ConfigError

if TYPE_CHECKING:
    from tts.serving.commands import Adapter, Kind
    from tts.serving.devices import Device
    from tts.serving.plan import Demand, Plan, Role
    from tts.serving.shapes import Precision, Shape
    from tts.serving.traffic import Lengths, Traffic, Work

GROUP: Final = "Device and models"
SEARCH: Final = "Search"

PolicyModel = Annotated[
    str | None,
    typer.Option(
        "--policy",
        help="The model that writes: a folder in Hugging Face format, a name in the Hub's local "
        "cache or of a shape that is known (such as GenPRM-7B), or nano.",
        metavar="MODEL",
        rich_help_panel=GROUP,
    ),
]
VerifierModel = Annotated[
    str | None,
    typer.Option(
        "--verifier", help="The model that judges, likewise.", metavar="MODEL",
        rich_help_panel=GROUP,
    ),
]  # fmt: skip
Base = Annotated[
    str | None,
    typer.Option(
        help="In place of both: the model that both are LoRA adapters of, on one server.",
        metavar="MODEL",
        rich_help_panel=GROUP,
    ),
]
Loras = Annotated[
    list[str] | None,
    typer.Option(
        "--lora", help="policy=FOLDER and verifier=FOLDER, with --base.", metavar="ROLE=FOLDER",
        rich_help_panel=GROUP,
    ),
]  # fmt: skip
DeviceName = Annotated[
    str,
    typer.Option(
        help="h100, h200, a100-40, a100-80, l40s, rtx4090, a10, cpu:GiB, or gpu:GB; the last two "
        "with bandwidth=BYTES/S,flops=FLOP/S if known.",
        metavar="DEVICE",
        rich_help_panel=GROUP,
    ),
]
PrecisionName = Annotated[
    str | None,
    typer.Option(
        "--dtype",
        help="Of the weights: bfloat16, float16, float32 or fp8; float32 on a CPU, bfloat16 "
        "elsewhere, if not said.",
        metavar="NAME",
        rich_help_panel=GROUP,
    ),
]
Context = Annotated[
    int | None,
    typer.Option(
        help="Of each server: longest prompt and output together; four times the longest path, if "
        "not said.",
        metavar="TOKENS",
        rich_help_panel=GROUP,
    ),
]
Workspace = Annotated[
    float | None,
    typer.Option(
        help="For each server besides weights and cache; 3 (on a CPU 2), if not said.",
        metavar="GiB",
        min=0.0,
        max=1024.0,
        rich_help_panel=GROUP,
    ),
]
Problems = Annotated[
    int | None,
    typer.Option(
        help="Most problems live at a time; what they do not need stays free. As many as fit, if "
        "not said.",
        metavar="N",
        rich_help_panel=SEARCH,
    ),
]
StrategySpec = Annotated[
    str,
    typer.Option(
        help="The search: NAME, NAME:KNOB=VALUE,... or a preset.",
        metavar="NAME",
        autocompletion=complete_strategy,
        rich_help_panel=SEARCH,
    ),
]
Votes = Annotated[
    int | None,
    typer.Option(
        help="On each step that is judged, where the strategy does not decide that; 1, if not "
        "said.",
        metavar="N",
        min=1,
        rich_help_panel=SEARCH,
    ),
]
Tokens = Annotated[
    list[str] | None,
    typer.Option(
        "--length",
        help="What problems take: prompt, step, question, vote (tokens), depth (steps of a "
        "solution). Repeatable.",
        metavar="NAME=N",
        rich_help_panel=SEARCH,
    ),
]


EngineName = Annotated[
    str, typer.Option("--engine", help="sglang or vllm.", metavar="NAME", rich_help_panel=GROUP)
]


@dataclass(frozen=True, slots=True)
class Model:
    """A model as servers are told of it."""

    path: str
    """A folder, or a name on the Hub."""
    shape: Shape
    shipped: bool
    """Whether it comes along with `tts`."""


@dataclass(frozen=True)
class Deployment:
    """As typed; raises `ConfigError` for what cannot be used."""

    device_name: str
    policy: str | None = None
    verifier: str | None = None
    base: str | None = None
    loras: tuple[str, ...] = ()
    dtype: str | None = None
    strategy: str = "beam"
    votes: int | None = None
    lengths_given: tuple[str, ...] = ()
    context: int | None = None
    workspace_gib: float | None = None
    problems: int | None = None
    engine: str = "sglang"

    def __post_init__(self) -> None:
        if self.base is None and self.policy is None:
            raise ConfigError("say which model writes: --policy MODEL, or --base with two --lora")
        if self.base is not None and (self.policy or self.verifier):
            raise ConfigError("--base stands for both models: leave --policy and --verifier out")
        if (self.base is None) != (not self.loras):
            raise ConfigError("--base and --lora belong together")

    @cached_property
    def models(self) -> dict[Role, Model]:
        """By what they do; both the same where they are adapters."""
        if self.base is not None:
            shared = found(self.base, "policy")
            return {"policy": shared, "verifier": shared}
        assert self.policy is not None
        models: dict[Role, Model] = {"policy": found(self.policy, "policy")}
        if self.verifier is not None:
            models["verifier"] = found(self.verifier, "verifier")
        return models

    @cached_property
    def adapters(self) -> tuple[Adapter, ...]:
        from tts.config import pair

        if self.base is None:
            return ()
        given = dict(pair(text, "--lora") for text in self.loras)
        if set(given) != {"policy", "verifier"} or len(self.loras) != 2:
            raise ConfigError("--base needs --lora policy=FOLDER and --lora verifier=FOLDER")
        return (_adapter("policy", given["policy"]), _adapter("verifier", given["verifier"]))

    @cached_property
    def device(self) -> Device:
        from tts.serving.devices import device_of

        return device_of(self.device_name)

    @cached_property
    def kind(self) -> Kind:
        from tts.serving.commands import kind_of

        return kind_of(self.engine)

    @cached_property
    def precision(self) -> Precision:
        from tts.serving.shapes import precision_of

        return precision_of(self.dtype or ("float32" if self.device.cpu else "bfloat16"))

    @cached_property
    def lengths(self) -> Lengths:
        from tts.config import build, pair
        from tts.serving.traffic import Lengths

        pairs = [pair(text, "--length") for text in self.lengths_given]
        given: dict[str, object] = dict(pairs)
        if len(given) < len(pairs):
            raise ConfigError("a --length is set twice")
        scores = "verifier" in self.models and self.models["verifier"].shape.scores
        lengths: Lengths = build("--length", Lengths, {**({"vote": 0} if scores else {}), **given})
        return lengths

    @cached_property
    def work(self) -> Work:
        from tts.config import make
        from tts.serving.traffic import work_of

        strategy = make("strategies", self.strategy)
        name = self.strategy.partition(":")[0]
        if "verifier" not in self.models and strategy.needs_verifier:
            raise ConfigError(f"strategy {name!r} decides by verdicts: add --verifier MODEL")
        bill = getattr(strategy, "bill", None)
        if bill is None:
            raise ConfigError(
                f"strategy {name!r} does not say what it costs, so that nothing can be planned "
                "for it: name one that does (see 'tts strategies'), such as the dearest of those "
                "that it chooses from"
            )
        knobs = {field.name: getattr(strategy, field.name) for field in fields(strategy)}
        work = work_of(bill, knobs, self.lengths, self.votes)
        return work if "verifier" in self.models else replace(work, judged=0)

    @cached_property
    def traffic(self) -> dict[Role, Traffic]:
        from tts.serving.traffic import policy_traffic, verifier_traffic

        asked: dict[Role, Traffic] = {"policy": policy_traffic(self.work, self.lengths)}
        if "verifier" in self.models:
            asked["verifier"] = verifier_traffic(self.work, self.lengths)
        return asked

    @property
    def workspace(self) -> int | None:
        return None if self.workspace_gib is None else int(self.workspace_gib * (1 << 30))

    @cached_property
    def plan(self) -> Plan:
        from tts.serving.plan import planned

        demands = [self._demand(role) for role in self.models]
        groups = [demands] if self.base is not None else [[demand] for demand in demands]
        return planned(
            self.device,
            groups,
            context=self.context,
            workspace=self.workspace,
            problems=self.problems,
            # On a CPU vLLM is told its cache in whole GiB.
            least_cache=1 << 30 if self.kind == "vllm" and self.device.cpu else 0,
        )

    def _demand(self, role: Role) -> Demand:
        from tts.serving.plan import Demand

        sizes = {adapter.role: adapter.parameters for adapter in self.adapters}
        adapter_bytes = sizes.get(role, 0) * self.precision.cache_bytes  # never in fp8
        return Demand(
            role, self.models[role].shape, self.precision, self.traffic[role], adapter_bytes
        )


def found(name: str, role: Role) -> Model:
    """The model called `name`: one that comes along, a folder here, or a name on the Hub of one
    that is in its local cache or has a known shape.

    Raises:
        ConfigError: nothing is known of it.
    """
    from tts.registry import load, names
    from tts.serving.shapes import PUBLISHED, read_shape, shape_of
    from tts.spec import parse

    spec = parse(name)
    if spec.name in names("models") and not spec.knobs:
        place = spec.places[0] if spec.places else role
        folder = load("models", spec.name)(place)
        shape = replace(read_shape(folder), name=f"{spec.name}:{place}")
        return Model(str(folder), shape, shipped=True)
    shape = shape_of(name)
    folder = Path(name).expanduser()
    path = str(folder.resolve()) if folder.is_dir() else name
    return Model(shape.name if shape.name in PUBLISHED else path, shape, shipped=False)


def _adapter(role: Role, place: str) -> Adapter:
    from tts.backends.folder import count_parameters, read_json
    from tts.serving.commands import Adapter

    folder = Path(place).expanduser().resolve()
    rank = read_json(folder / "adapter_config.json").get("r")
    if not isinstance(rank, int) or rank < 1:
        raise ConfigError(f"{folder / 'adapter_config.json'}: r = {json.dumps(rank)} is no rank")
    return Adapter(role, str(folder), rank, count_parameters(folder) or 0)
