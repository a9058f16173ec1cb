"""Output files: they appear whole or not at all; one that cannot be written is known at once."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tts.errors import ConfigError


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file to be written later, in one go."""

    path: Path

    @classmethod
    def checked(cls, path: Path) -> OutputFile:
        """The file at `path`, once it is certain that it can be written; nothing is left there.

        Raises:
            ConfigError: it cannot.
        """
        real = path.resolve()  # a link stays a link: what it points to is replaced
        if real.is_dir():
            raise ConfigError(f"cannot write {path}: it is a directory")
        file = cls(real)
        if file._is_device():
            return file
        try:
            file._trial().touch(exist_ok=False)
            file._trial().unlink()
        except OSError as error:
            raise ConfigError(f"cannot write {path}: {error.strerror}") from None
        return file

    def write(self, text: str) -> None:
        """Replace the file's content by `text` and a newline, at once.

        Raises:
            ConfigError: it cannot be written any more; what was there is still there.
        """
        try:
            if self._is_device():
                self.path.write_text(f"{text}\n", encoding="utf-8")
                return
            with self._trial().open("x", encoding="utf-8") as stream:
                stream.write(f"{text}\n")
                stream.flush()
                os.fsync(stream.fileno())
            self._trial().replace(self.path)
        except OSError as error:
            raise ConfigError(f"cannot write {self.path}: {error.strerror}") from None
        finally:
            with suppress(OSError):
                self._trial().unlink(missing_ok=True)

    def _trial(self) -> Path:
        """A name beside the file that no other process uses."""
        return self.path.with_name(f".{self.path.name}.{os.getpid()}.part")

    def _is_device(self) -> bool:
        """Whether it is there and no regular file, such as `/dev/null`: never to be replaced."""
        return self.path.exists() and not self.path.is_file()


def apart(**paths: Path | None) -> None:
    """Check that files which a command reads or writes are not the same one; `-` is none.

    Raises:
        ConfigError: two of them are, by whatever names; one would be lost.
    """
    seen: dict[Path, str] = {}
    for name, path in paths.items():
        if path is None or str(path) == "-" or (path.exists() and not path.is_file()):
            continue
        real = path.resolve()
        if real in seen:
            raise ConfigError(f"{seen[real]} and {name} are the same file: {path}")
        seen[real] = name
