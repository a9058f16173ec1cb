"""Rows: JSON lines in, JSON lines out, in the same order, all of them or the part of one share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

from tts.cli.merge import merge
from tts.cli.output import OutputFile
from tts.cli.parts import ROWS, Part, checked, part_path
from tts.study import Share

Item = TypeVar("Item")


class Rows:
    """Where the rows of a command go."""

    def __init__(
        self,
        command: str,
        settings: Mapping[str, object],
        given: Sequence[str],
        out: Path,
        shard: str | None,
        ray: str | None,
        shards: int | None,
    ) -> None:
        """
        Args:
            command: its name.
            settings: everything that decides the rows, but what is given.
            given: the lines of the input.
            out: where all rows go.
            shard: as typed, as are the next two.
            ray: address of a cluster.
            shards: into how many the work is shared out there.

        Raises:
            ConfigError: what is typed does not go together, or the file cannot be written.
        """
        self._share = checked(shard, ray, shards, out)
        self._command = command
        self._given = "\n".join(given)
        self._ray = ray
        self._shards = shards
        self._out = out
        self.path = out if self._share is None else part_path(out, self._share)
        """Where the rows that are made here go."""
        self._file = OutputFile.checked(self.path)
        digest = blake2b(self._given.encode(), digest_size=8).hexdigest()
        self._work = {"command": command, **settings, "input": digest}
        self._first = 0

    def own(self, items: Sequence[Item], problem_of: Callable[[Item], str]) -> Sequence[Item]:
        """Those that are worked on here: a run of them that leaves no problem's run in two."""
        if self._share is None:
            return items
        runs = [list(run) for _, run in groupby(items, problem_of)]
        chosen = self._share.run(len(runs))
        self._first = sum(map(len, runs[: chosen.start]))
        return [item for run in runs[chosen.start : chosen.stop] for item in run]

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the rows of what is worked on here; some of the items may have none."""
        if self._share is None:
            text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        else:
            text = Part(self._work, {ROWS: dict(enumerate(rows, self._first))}).text()
        self._file.write(text)

    def distribute(self, words: Sequence[str], *, as_json: bool) -> None:
        """Have the rows made on the cluster by the command with the options `words`."""
        from tts.cli.cluster import Cluster

        assert self._ray is not None
        with Cluster(self._ray) as cluster:
            count = self._shards or cluster.size
            shares = [Share(index, count) for index in range(1, count + 1)]
            typed = [self._command, "-", *words]
            cluster.round(typed, self._out, shares, given=self._given)
        merge(self._out, as_json)
