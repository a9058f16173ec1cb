"""`tts plan`: whether two models fit on a device, how its memory is divided, and what it can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tts.cli.arguments import Json
from tts.cli.deployment import (
    SEARCH,
    Base,
    Context,
    DeviceName,
    EngineName,
    Loras,
    PolicyModel,
    PrecisionName,
    Problems,
    StrategySpec,
    Tokens,
    VerifierModel,
    Votes,
    Workspace,
)

if TYPE_CHECKING:
    from tts.cli.deployment import Deployment
    from tts.serving.plan import Plan
    from tts.serving.roofline import Bound

EPILOG: Final = """
[bold]Examples[/bold]

  tts plan --policy Qwen2.5-Math-7B-Instruct --verifier GenPRM-7B --device h100 --votes 4
  tts plan --policy Llama-3.2-1B-Instruct --verifier GenPRM-1.5B --device a10 --strategy dvts:n=64
  tts plan --policy /path/to/model --verifier Qwen2.5-Math-PRM-7B --device a100-80 --json
"""


def plan(
    device: DeviceName,
    policy: PolicyModel = None,
    verifier: VerifierModel = None,
    base: Base = None,
    loras: Loras = None,
    dtype: PrecisionName = None,
    engine: EngineName = "sglang",
    strategy: StrategySpec = "beam",
    votes: Votes = None,
    lengths: Tokens = None,
    problems: Problems = None,
    context: Context = None,
    workspace: Workspace = None,
    usd_per_hour: Annotated[
        float | None,
        typer.Option(
            help="Price of the device, for a cost per problem.", metavar="USD", min=0.0, max=1e6,
            rich_help_panel=SEARCH,
        ),
    ] = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Plan two models on one device: memory, cache, and the most that they can do.

    Nothing is started. Exits with 2 if the models do not fit.
    """
    import json

    from tts.cli.deployment import Deployment
    from tts.cli.exits import Exit
    from tts.serving.roofline import bound_of

    asked = Deployment(
        device, policy, verifier, base, tuple(loras or ()), dtype, strategy, votes,
        tuple(lengths or ()), context, workspace, problems, engine,
    )  # fmt: skip
    made = asked.plan
    bound = bound_of(made, problems=problems)
    if as_json:
        whole = document(asked, made, bound, usd_per_hour)
        print(json.dumps({"schema": "tts.plan/1", **whole}, indent=2, allow_nan=False))
    else:
        _print(asked, made, bound, usd_per_hour)
    raise typer.Exit(Exit.ANSWERED if made.fits else Exit.USAGE)


def document(
    asked: Deployment, made: Plan, bound: Bound | None, usd_per_hour: float | None
) -> dict[str, Any]:
    """The plan as JSON: bytes, tokens, seconds; null stands for what is not known."""
    from dataclasses import asdict

    from tts.serving.plan import remedies

    device = made.device
    return {
        "fits": made.fits,
        "missing_bytes": made.missing,
        "remedies": remedies(made),
        "device": {
            "name": device.name,
            "memory_bytes": device.memory,
            "bandwidth": device.bandwidth,
            "flops": device.flops,
            "source": device.source,
            "free_bytes": made.free if made.fits else None,
        },
        "work": {**asdict(asked.work), "strategy": asked.strategy},
        "lengths": asdict(asked.lengths),
        "servers": [
            {
                "name": share.name,
                "weight_bytes": share.weights,
                "workspace_bytes": share.workspace,
                "cache_bytes": share.cache if made.fits else None,
                "cache_tokens": share.cache_tokens if made.fits else None,
                "least_cache_bytes": share.floor,
                "context_tokens": share.context,
                "bytes_per_token": share.token_bytes,
                "models": [
                    {
                        "role": demand.role,
                        "model": demand.shape.name,
                        "parameters": demand.shape.parameters,
                        "dtype": demand.precision.name,
                        "source": demand.shape.source,
                        "tokens_per_problem": asdict(demand.traffic),
                    }
                    for demand in share.demands
                ],
            }
            for share in made.shares
        ],
        "live_problems": made.live if made.fits else None,
        "bound": None if bound is None else _bound(bound, usd_per_hour),
    }


def _bound(bound: Bound, usd_per_hour: float | None) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "models": [asdict(rate) for rate in bound.rates],
        "tokens_per_second": bound.tokens_per_second,
        "live_problems": bound.live,
        "device_seconds_per_problem": bound.device_seconds,
        "seconds_per_problem": bound.wait_seconds,
        "usd_per_problem": None if usd_per_hour is None else bound.usd(usd_per_hour),
    }


def _print(asked: Deployment, made: Plan, bound: Bound | None, usd_per_hour: float | None) -> None:
    for line in lines(asked, made):
        print(line)
    if bound is not None:
        print()
        for line in _bound_lines(bound, usd_per_hour):
            print(line)
    elif made.fits:
        print("\nSpeed: the device's bandwidth and FLOP/s are not known, so nothing is said of it.")


def lines(asked: Deployment, made: Plan) -> list[str]:
    """The plan as text."""
    from tts.cli.wording import count, gibibytes, scaled
    from tts.serving.plan import remedies

    device, work, lengths = made.device, asked.work, asked.lengths
    told = [f"{device.name}: {gibibytes(device.memory)} ({device.source})", ""]
    most = "" if work.exact else "at most "
    judged = f", {count(work.judged)} judged, votes each: {work.votes}" if work.judged else ""
    told.append(f"A problem by {asked.strategy}: {most}{count(work.steps)} steps sampled{judged}")
    told.append(
        f"  (its bill, at {lengths.depth} steps a solution; tokens: {lengths.prompt} the prompt, "
        f"{lengths.step} a step, {lengths.question} the verifier's question, {lengths.vote} a "
        "vote; --length changes them)"
    )
    for share in made.shares:
        told += ["", f"Server {share.name}"]
        for demand in share.demands:
            traffic = demand.traffic
            size = f"{scaled(demand.shape.parameters)} parameters, {demand.precision.name}"
            told.append(f"  {demand.role}: {demand.shape.name}, {size}")
            told.append(
                f"    a problem: {count(traffic.output)} tokens decoded, "
                f"{count(traffic.computed)} computed of prompts, {count(traffic.trie)} in its trie"
            )
        told += [
            f"  weights    {gibibytes(share.weights)}",
            f"  workspace  {gibibytes(share.workspace)}",
        ]
        cache = (
            f"  cache      {gibibytes(share.cache)}: {count(share.cache_tokens)} tokens of "
            f"{count(share.token_bytes)} bytes"
        )
        least = f"  cache      {gibibytes(share.floor)} at least, for a context of "
        told += [cache if made.fits else least + f"{count(share.context)} tokens"]
    told.append("")
    if not made.fits:
        told.append(f"DOES NOT FIT: {gibibytes(made.missing)} are missing.")
        cures = remedies(made)
        told += [f"  Would fit: {cure}." for cure in cures]
        return told if cures else [*told, "  Nothing that was tried would: a larger device."]
    told.append(f"Left to driver and others: {gibibytes(made.free)}.")
    told.append(f"Live at a time with all their prefixes cached: {made.live:,.1f} problems.")
    if made.live < 1:
        told.append("  Less than one: engines will throw prefixes away and compute them again.")
    return told


def _bound_lines(bound: Bound, usd_per_hour: float | None) -> list[str]:
    from tts.cli.wording import count, seconds

    told = ["At most, by memory bandwidth and arithmetic alone (roofline):"]
    told += [
        f"  {rate.role}: {count(rate.tokens_per_second)} tokens/s alone, {rate.sequences:,.0f} "
        f"sequences side by side, limited by {rate.limited_by}; a problem takes "
        f"{seconds(rate.decode_seconds)} to decode and {seconds(rate.prompt_seconds)} of prompts"
        for rate in bound.rates
    ]
    told.append(
        f"  both: {count(bound.tokens_per_second)} tokens/s; a problem is "
        f"{seconds(bound.device_seconds)} of the device, and {seconds(bound.wait_seconds)} from "
        f"begin to end with {bound.live:,.1f} live"
    )
    if usd_per_hour is not None:
        told.append(f"  {bound.usd(usd_per_hour):.3g} USD a problem, {usd_per_hour:g} an hour")
    return told
