"""Output files: whole or not at all."""

import os
from pathlib import Path

import pytest

from tts.cli.output import OutputFile
from tts.errors import ConfigError


def test_checking_leaves_nothing_and_changes_nothing(tmp_path: Path):
    file = tmp_path / "x"
    OutputFile.checked(file)
    assert list(tmp_path.iterdir()) == []
    file.write_text("precious")
    OutputFile.checked(file)
    assert file.read_text() == "precious"


def test_writing_replaces_at_once_and_leaves_nothing_else(tmp_path: Path):
    file = tmp_path / "x"
    file.write_text("old")
    OutputFile.checked(file).write("new")
    assert file.read_text() == "new\n"
    assert list(tmp_path.iterdir()) == [file]


def test_a_failed_write_leaves_the_old_content(tmp_path: Path):
    file = tmp_path / "x"
    file.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        OutputFile.checked(file).write("\udcff")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_stays_a_link(tmp_path: Path):
    (tmp_path / "link").symlink_to(tmp_path / "real")
    OutputFile.checked(tmp_path / "link").write("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new\n"


def test_a_device_is_written_to_and_never_replaced():
    before = Path(os.devnull).stat().st_mode
    OutputFile.checked(Path(os.devnull)).write("new")
    assert Path(os.devnull).stat().st_mode == before


def test_a_file_where_a_folder_should_be_is_told(tmp_path: Path):
    (tmp_path / "x").touch()
    with pytest.raises(ConfigError, match="cannot write"):
        OutputFile.checked(tmp_path / "x" / "y")
