"""Journal: what is done of a long job, so that it goes on where it was stopped, however it was.

One SQLite file. An item is written in one transaction when it is done, and is there after a crash
or a kill; what was in flight is done again, from the same seeds. The file belongs to one process at
a time, and to one setting: continued with another it would hold a mixture.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tts.errors import ConfigError

VERSION: Final = 1
_COLUMNS: Final = "kind TEXT, id TEXT, digest TEXT, record TEXT, PRIMARY KEY (kind, id)"
Record = dict[str, Any]
"""Anything in the types of JSON."""


class Journal:
    """A context manager around the file."""

    def __init__(self, path: Path, settings: Mapping[str, object]) -> None:
        """Open or make the file.

        Args:
            path: of the file.
            settings: everything that decides what is written to it, but the items themselves.

        Raises:
            ConfigError: it cannot be opened, is in use, is no journal, or one of other settings.
        """
        self._path = path
        with self._explained():
            self._database = sqlite3.connect(path, timeout=0.2, isolation_level=None)
        try:
            with self._explained():
                self._claim()
                self._compare({"version": VERSION, **settings})
        except BaseException:
            self._database.close()
            raise

    def get(self, kind: str, id: str, digest: str) -> Record | None:
        """What was written of an item; None if it is not done.

        Raises:
            ConfigError: the item had another content then.
        """
        query = "SELECT digest, record FROM items WHERE kind = ? AND id = ?"
        with self._explained():
            row = self._database.execute(query, (kind, id)).fetchone()
        if row is None:
            return None
        if row[0] != digest:
            raise ConfigError(
                f"{kind} {id!r} is not what it was when {self._path} was begun; "
                "give changed items new ids, or begin a new journal"
            )
        record: Record = json.loads(row[1])
        return record

    def put(self, kind: str, id: str, digest: str, record: Record) -> None:
        """Write of an item that is done. On the disk when this returns.

        Raises:
            ConfigError: the file cannot be written any more.
        """
        with self._explained():
            self._database.execute(
                "INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?)",
                (kind, id, digest, json.dumps(record)),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.close()

    def _claim(self) -> None:
        for statement in (
            "PRAGMA locking_mode = EXCLUSIVE",
            "PRAGMA synchronous = FULL",
            "BEGIN EXCLUSIVE",
            "CREATE TABLE IF NOT EXISTS settings (settings TEXT NOT NULL)",
            f"CREATE TABLE IF NOT EXISTS items ({_COLUMNS})",
            "COMMIT",
        ):
            self._database.execute(statement)

    def _compare(self, settings: Mapping[str, object]) -> None:
        row = self._database.execute("SELECT settings FROM settings").fetchone()
        if row is None:
            text = json.dumps(settings, sort_keys=True)
            self._database.execute("INSERT INTO settings VALUES (?)", (text,))
            return
        before = json.loads(row[0])
        now = json.loads(json.dumps(settings))
        changed = [
            f"{name} was {before.get(name)!r}, is {now.get(name)!r}"
            for name in sorted({*before, *now})
            if before.get(name) != now.get(name)
        ]
        if changed:
            raise ConfigError(f"{self._path} was begun with other settings: {'; '.join(changed)}")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            busy = "locked" in str(error)
            why = "another process is using it" if busy else str(error)
            raise ConfigError(f"cannot use journal {self._path}: {why}") from None
        except sqlite3.DatabaseError as error:
            raise ConfigError(f"{self._path} is not a journal: {error}") from None
