"""What all tests share."""

import pytest
from hypothesis import HealthCheck, settings

# The machine that runs the tests may be busy: examples are counted, not timed. The usual examples
# are the same for everybody; `make test-properties` looks for others.
settings.register_profile(
    "tts",
    deadline=None,
    max_examples=60,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "explore", settings.get_profile("tts"), derandomize=False, max_examples=1500
)
settings.load_profile("tts")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
