"""Commands: a share of a device as the command line of SGLang or vLLM, and how to speak to it.

The two count memory differently (read in the sources of SGLang 0.5.23 and vLLM 0.32).

- SGLang's `--mem-fraction-static` is (weights + cache) / what is FREE when this server starts. So
  the second of two servers on a GPU takes a fraction of what the first has left, and one that is
  started again, of what the other leaves. Workspaces come out of the rest.
- vLLM's `--gpu-memory-utilization` is (weights + cache + workspace) / what the GPU HAS, of this
  server alone. The fraction is the same whatever else runs; what it asks for must be free.

Both measure while they start, so that only one may start at a time. On a CPU SGLang takes
`--max-total-tokens`, and vLLM whole GiB in VLLM_CPU_KVCACHE_SPACE.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from tts.errors import ConfigError, unknown
from tts.serving.devices import GIB, Device
from tts.serving.plan import Role, Share

Kind = Literal["sglang", "vllm"]
PATIENCE_SECONDS: Final = 600
"""For which searches wait for a server that is started again."""
_STEP_TAG: Final = 151651
"""`<extra_0>` in the vocabulary of Qwen2.5-Math-PRM: its score stands there (the tag of vLLM's own
example of serving it)."""
_RANKS: Final = (8, 16, 32, 64, 128, 256, 320, 512)
"""Ranks that vLLM takes as a maximum: `MaxLoRARanks` in its `config/lora.py`, but for 1."""


def kind_of(name: str) -> Kind:
    """Raises:
    ConfigError: there is no such engine.
    """
    for kind in get_args(Kind):
        if name == kind:
            return kind  # type: ignore[no-any-return]
    raise unknown("engine", name, get_args(Kind))


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter that plays a role."""

    role: Role
    path: str
    rank: int
    parameters: int


@dataclass(frozen=True, slots=True)
class Launch:
    """One server: everything that its command line says."""

    kind: Kind
    python: str
    """An interpreter that has the engine."""
    device: Device
    share: Share
    model: str
    """A folder, or a name on the Hub."""
    port: int
    tokenizer: str | None = None
    """A folder for it alone, where the model's own would not do."""
    adapters: tuple[Adapter, ...] = ()
    threads: int | None = None
    """For a CPU's arithmetic; None: as the environment says."""

    @property
    def name(self) -> str:
        return self.share.name

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def words(self, taken: int = 0) -> list[str]:
        """The command, while other servers hold `taken` bytes of the device.

        Raises:
            ConfigError: the engine cannot serve this model, or not with so little memory.
        """
        written = {"sglang": self._sglang, "vllm": self._vllm}[self.kind](taken)
        return [self.python, "-m", *(str(word) for word in written)]

    def environment(self) -> Mapping[str, str]:
        """Variables that the server is given besides those of `tts` itself."""
        given = {"SGLANG_RETURN_ORIGINAL_LOGPROB": "1"} if self.kind == "sglang" else {}
        if Path(self.model).is_dir():  # nothing of it is elsewhere
            given["HF_HUB_OFFLINE"] = "1"
        if not self.device.cpu:
            return given
        if self.threads is not None:
            given["OMP_NUM_THREADS"] = str(self.threads)
        if self.kind == "sglang":
            return {**given, "SGLANG_USE_CPU_ENGINE": "1"}
        return {
            **given,
            "VLLM_CPU_KVCACHE_SPACE": str(self.share.cache // GIB),
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # two servers would share the first core
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            "TORCHDYNAMO_DISABLE": "1",
        }

    def shell(self, taken: int = 0) -> str:
        """As one types it."""
        variables = [f"{name}={shlex.quote(value)}" for name, value in self.environment().items()]
        return " ".join([*variables, shlex.join(self.words(taken))])

    def spec(self, role: Role) -> str:
        """The backend that speaks to it in `role`."""
        told = [f"{self.kind}:{self.url}", f"patience={PATIENCE_SECONDS}"]
        if self.adapters:
            knob = "model" if self.kind == "vllm" else "adapter"
            # The adapter's folder is what the server names, and it has nothing but the adapter.
            parameters = self.share.demands[0].shape.parameters
            told += [f"{knob}={role}", f"tokenizer={self.model}", f"parameters={parameters}"]
        return ",".join(told)

    def _sglang(self, taken: int) -> Sequence[object]:
        if self.share.demands[0].shape.scores:
            raise ConfigError(f"SGLang does not serve {self.model}: --engine vllm does")
        if self.adapters and self.device.cpu:  # it keeps them in pinned memory (seen in 0.5.23)
            raise ConfigError("SGLang needs a GPU for LoRA adapters: --engine vllm does not")
        words: list[object] = ["sglang.launch_server", "--model-path", self.model]
        words += ["--context-length", self.share.context, *self._common("--tokenizer-path")]
        words += ["--enable-cache-report", "--enable-metrics"]
        if self.device.cpu:
            words += ["--device", "cpu", "--attention-backend", "torch_native", "--sleep-on-idle"]
            words += ["--cuda-graph-backend-decode", "disabled"]
            words += ["--cuda-graph-backend-prefill", "disabled"]
            words += ["--max-total-tokens", self.share.cache_tokens]
        else:
            fraction = _rounded_down(self.share.static / (self.device.memory - taken))
            words += ["--mem-fraction-static", fraction, "--enable-priority-scheduling"]
        if self.adapters:
            paths = [f"{adapter.role}={adapter.path}" for adapter in self.adapters]
            words += ["--enable-lora", "--lora-paths", *paths]
            words += ["--max-loras-per-batch", len(self.adapters)]
        return words

    def _vllm(self, taken: int) -> Sequence[object]:
        del taken  # a fraction of what the device has
        scores = self.share.demands[0].shape.scores
        words: list[object] = ["vllm.entrypoints.openai.api_server", "--model", self.model]
        words += ["--max-model-len", self.share.context, *self._common("--tokenizer")]
        words += ["--enable-prompt-tokens-details"]
        if scores:
            words += ["--runner", "pooling"]
            words += ["--pooler-config", json.dumps({"step_tag_id": _STEP_TAG})]
        else:
            words += ["--scheduling-policy", "priority"]
        if self.device.cpu:
            if self.share.cache < GIB:
                raise ConfigError(
                    f"vLLM on a CPU takes its cache in whole GiB, and the {self.name} gets "
                    f"{self.share.cache / GIB:.2f}: a larger device, or more --problems"
                )
            words += ["--enforce-eager", "--block-size", 32]
            words += ["--distributed-executor-backend", "uni"]
        else:
            fraction = _rounded_down(self.share.total / self.device.memory)
            words += ["--gpu-memory-utilization", fraction]
        if self.adapters:
            rank = max(adapter.rank for adapter in self.adapters)
            words += ["--enable-lora", "--max-loras", len(self.adapters)]
            words += ["--max-lora-rank", _allowed_rank(rank), "--lora-modules"]
            words += [f"{adapter.role}={adapter.path}" for adapter in self.adapters]
        return words

    def _common(self, tokenizer: str) -> list[object]:
        precision = self.share.demands[0].precision.name
        words: list[object] = [tokenizer, self.tokenizer] if self.tokenizer else []
        words += ["--quantization", "fp8"] if precision == "fp8" else ["--dtype", precision]
        words += ["--served-model-name", "base" if self.adapters else self.name]
        return [*words, "--host", "127.0.0.1", "--port", self.port]


def _rounded_down(fraction: float) -> str:
    """Never more than was planned."""
    return f"{math.floor(fraction * 10_000) / 10_000:.4f}"


def _allowed_rank(rank: int) -> int:
    for allowed in _RANKS:
        if rank <= allowed:
            return allowed
    raise ConfigError(f"vLLM takes LoRA adapters up to rank {_RANKS[-1]}, and one has {rank}")
