"""What all tests share."""

import pytest
from hypothesis import HealthCheck, settings

# The machine that runs the tests may be busy: examples are counted, not timed.
settings.register_profile(
    "tts", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tts")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
