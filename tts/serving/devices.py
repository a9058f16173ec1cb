"""Devices: how much memory one has, how fast it reads it, and how fast it multiplies.

Figures are those of NVIDIA's data sheets and white papers. FLOP/s are of dense bfloat16 products
with sums in float32; data sheets print twice that where they count sparsity. A GB is taken for
10^9 bytes. Drivers report more: 0.6 % on A10 and L40S, 7 % on A100, H100 and H200 (as listed by
https://thundergolfer.com/blog/nvidia-gpu-memory-capacity), so that plans err on the safe side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from tts.errors import ConfigError, unknown
from tts.spec import parse

GIB: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU, or the memory of a machine that computes with its CPU."""

    name: str
    memory: int
    """Bytes."""
    bandwidth: float | None
    """Bytes per second between memory and processor; None if unknown."""
    flops: float | None
    """Per second; None if unknown."""
    source: str
    cpu: bool = False

    @property
    def spare(self) -> int:
        """Bytes left to the driver and to others: an allowance, not a measurement.

        On a CPU the memory named is all for us.
        """
        return 0 if self.cpu else math.ceil(0.04 * self.memory)


def _gpu(name: str, gigabytes: int, per_second: float, teraflops: float, sheet: str) -> Device:
    return Device(name, gigabytes * 10**9, per_second * 1e9, teraflops * 1e12, sheet)


DEVICES: Final = {
    device.name: device
    for device in (
        _gpu("h100", 80, 3350, 989.4, "NVIDIA H100 data sheet and white paper, SXM"),
        _gpu("h200", 141, 4800, 989.4, "NVIDIA H200 data sheet, SXM; the chip is the H100's"),
        _gpu("a100-40", 40, 1555, 312, "NVIDIA A100 data sheet, 40 GB"),
        _gpu("a100-80", 80, 2039, 312, "NVIDIA A100 data sheet, 80 GB SXM"),
        _gpu("l40s", 48, 864, 362.05, "NVIDIA L40S data sheet"),
        _gpu("rtx4090", 24, 1008, 165.2, "NVIDIA Ada GPU architecture white paper, appendix A"),
        _gpu("a10", 24, 600, 125, "NVIDIA A10 data sheet"),
    )
}
"""By the names that a plan takes."""


def device_of(spec: str) -> Device:
    """A device by name, `cpu:16` (GiB), or `gpu:48` (GB) for one that is not in the table.

    The last two can be told more: `cpu:16,bandwidth=4e10,flops=1e12`, per second. Without that
    nothing is said of their speed.

    Raises:
        ConfigError: there is no such device, or a number is none above 0.
    """
    parsed = parse(spec)
    name = parsed.name.lower().replace("_", "-").replace(" ", "")
    if name in DEVICES and not parsed.places and not parsed.knobs:
        return DEVICES[name]
    if name not in {"cpu", "gpu"}:
        raise unknown("device", spec, [*DEVICES, "cpu:GiB", "gpu:GB"])
    if len(parsed.places) != 1:
        raise ConfigError(f"device {spec!r}: say how much memory it has, such as {name}:16")
    for knob in parsed.knobs:
        if knob not in {"bandwidth", "flops"}:
            raise unknown(f"knob of {name}", knob, ["bandwidth", "flops"])
    memory = _positive(spec, parsed.places[0]) * (GIB if name == "cpu" else 10**9)
    speed = {knob: _positive(spec, value) for knob, value in parsed.knobs.items()}
    return Device(
        spec, int(memory), speed.get("bandwidth"), speed.get("flops"), "as told", name == "cpu"
    )


def _positive(spec: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ConfigError(f"device {spec!r}: {text!r} must be a finite number above 0")
    return value
