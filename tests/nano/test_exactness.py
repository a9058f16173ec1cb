"""The same seed gives the same tokens on BLAS kernels that add up in any order."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
from pathlib import Path
from tts.backends.base import Request, Sampling
from tts_nano import blas
blas.set_threads(1)
from tts_nano.engine import Engine
from tts_nano.model import Model
from tts.backends.tokenizer import FolderTokenizer

folder = Path(sys.argv[1])
model, tokenizer = Model.load(folder), FolderTokenizer(folder, 300)

def serve(requests, cache_bytes, max_batch):
    engine = Engine(model, tokenizer, cache_bytes=cache_bytes, max_batch=max_batch)
    jobs = [engine.submit(request) for request in requests]
    while engine.busy:
        engine.step()
    return [sample for job in jobs for sample in job.generation.samples], engine

prompt = tokenizer.encode("Evaluate 12 + 30, step by step, and then some more of the same. " * 2)
samplings = [Sampling(), Sampling(0.8, 0.95), Sampling(1.0, 1.0, 20), Sampling(0.0)]
asked = [Request(prompt, 60, (seed,), samplings[seed % 4]) for seed in range(80)]
together, engine = serve(asked, 1 << 26, 80)
apart, _ = serve(asked, 200_000, 3)
assert [s.token_ids for s in together] == [s.token_ids for s in apart]
bits = [s.logprobs for s in together] == [s.logprobs for s in apart]
assert bits or not model.exact
print(model.exact, bits, sum(len(s.token_ids) for s in together), engine._canonical.noise)
"""


@pytest.mark.parametrize("kernels", ["", "SkylakeX", "Haswell", "Nehalem"])
def test_tokens_do_not_depend_on_the_batch(kernels: str, tiny: Path) -> None:
    flags = Path("/proc/cpuinfo").read_text() if sys.platform == "linux" else ""
    needed = {"": "", "SkylakeX": "avx512f"}.get(kernels, "avx2")
    if needed not in flags:
        pytest.skip(f"this CPU does not run OpenBLAS's {kernels} kernels")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tiny)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OPENBLAS_CORETYPE": kernels, "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    exact, _, tokens, noise = done.stdout.split()
    assert int(tokens) > 2_000
    assert (float(noise) == 0) == (exact == "True")
    assert float(noise) < 1e-3
