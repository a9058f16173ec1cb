"""Devices by name, and those that are told."""

import pytest

from tts.errors import ConfigError
from tts.serving.devices import DEVICES, GIB, device_of


def test_every_device_in_the_table_says_where_its_figures_are_from():
    for name, device in DEVICES.items():
        assert device_of(name.upper()) is device
        assert "NVIDIA" in device.source
        assert device.bandwidth is not None
        assert device.flops is not None
        # All of the memory can be read several times a second, and each byte is worth FLOPs.
        assert 10 < device.bandwidth / device.memory < 100
        assert 100 < device.flops / device.bandwidth < 500


def test_memory_of_a_cpu_is_in_gib_and_all_ours():
    cpu = device_of("cpu:16")
    assert (cpu.memory, cpu.cpu, cpu.spare) == (16 * GIB, True, 0)
    assert cpu.bandwidth is None


def test_a_device_can_be_told():
    told = device_of("gpu:48,bandwidth=864e9,flops=3.6e14")
    assert (told.memory, told.bandwidth, told.flops) == (48 * 10**9, 864e9, 3.6e14)
    assert 0 < told.spare < told.memory / 10


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("h1000", "did you mean 'h100'"),
        ("cpu", "say how much memory"),
        ("cpu:lots", "'lots'"),
        ("cpu:-1", "'-1'"),
        ("gpu:inf", "'inf'"),
        ("gpu:48,speed=3", "unknown knob of gpu 'speed'"),
    ],
)
def test_what_is_no_device_is_named(spec, said):
    with pytest.raises(ConfigError, match=said):
        device_of(spec)
