"""Cluster: the shares of one command as Ray tasks, put together where they were asked for.

A task runs the command itself with its `--shard`, in a folder that is thrown away, and gives back
the part that it wrote. A study of several waves takes several rounds.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tts.cli.output import OutputFile
from tts.cli.parts import part_path
from tts.errors import ConfigError, PluginError
from tts.extras import install

if TYPE_CHECKING:
    from tts.study import Share


class Cluster:
    """A Ray cluster; a context manager that leaves it again."""

    def __init__(self, address: str) -> None:
        """`address`: of a cluster, `auto` for the one around here, or empty: start one.

        Raises:
            ConfigError: Ray is not installed, or there is no cluster.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # What the next version does anyhow: tasks without a GPU leave the variables for it alone.
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        try:
            ray: Any = import_module("ray")
        except ImportError:
            raise ConfigError(f"--ray needs Ray: {install('ray')}") from None
        self._ray = ray
        own = {} if address else {"include_dashboard": False}
        try:
            ray.init(address=address or "local", log_to_driver=False, logging_level="error", **own)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise ConfigError(f"no Ray cluster at {address!r}: {error}") from None

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *exception: object) -> None:
        self._ray.shutdown()

    @property
    def size(self) -> int:
        """CPUs; as many tasks run at a time. >= 1."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def round(
        self,
        words: Sequence[str],
        out: Path,
        shares: Sequence[Share],
        *,
        given: str | None = None,
    ) -> None:
        """Run the command `words` with each of `shares`; their parts are beside `out` then.

        Args:
            words: the command without `tts`, `--out` and `--shard`.
            out: parts that are there already are known to all tasks.
            shares: one task each.
            given: what the word `-` among the words stands for, as a file's content.

        Raises:
            PluginError: a task failed; says how.
        """
        known = {
            part_path(out, share).name: part_path(out, share).read_text(encoding="utf-8")
            for share in shares
            if part_path(out, share).exists()
        }
        task = self._ray.remote(num_cpus=1)(_part)
        pending = [task.remote(list(words), out.name, share, known, given) for share in shares]
        try:
            texts = self._ray.get(pending)
        except self._ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None) or error
            raise PluginError(f"a share failed on the cluster: {cause}") from None
        for share, text in zip(shares, texts, strict=True):
            OutputFile.checked(part_path(out, share)).write(text.rstrip("\n"))


def _part(
    words: Sequence[str], name: str, share: Share, known: Mapping[str, str], given: str | None
) -> str:
    """What `share` of the command writes; runs in a process of the cluster."""
    import contextlib
    import io

    from tts.cli import run

    with tempfile.TemporaryDirectory() as folder:
        out, file = Path(folder) / name, Path(folder) / "given"
        for other, text in known.items():
            (Path(folder) / other).write_text(text, encoding="utf-8")
        if given is not None:
            file.write_text(given, encoding="utf-8")
        spelled = [str(file) if word == "-" else word for word in words]
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            code = run([*spelled, "--out", str(out), "--shard", str(share)])
        if code:
            raise RuntimeError(f"share {share}: {said.getvalue().strip()[-500:]}")
        return part_path(out, share).read_text(encoding="utf-8")
