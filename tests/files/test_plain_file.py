"""Files that others made: read where they are plain and small."""

import os
from pathlib import Path

import pytest

from sleepcycle.files.plain_file import open_plain, read_plain


def test_a_file_and_a_link_to_one_are_read(tmp_path):
    (tmp_path / "file").write_text("grün")
    (tmp_path / "link").symlink_to("file")

    assert read_plain(tmp_path / "file", most_bytes=5) == "grün"
    assert read_plain(tmp_path / "link", most_bytes=5) == "grün"


def test_a_larger_one_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(bytes(6))

    with pytest.raises(OSError, match="6 bytes, where at most 5 are read"):
        read_plain(tmp_path / "file", most_bytes=5)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(OSError, match="pipe is no plain file"):
        read_plain(tmp_path / "pipe", most_bytes=5)


def test_a_device_is_not_read(tmp_path):
    (tmp_path / "link").symlink_to("/dev/zero")

    with pytest.raises(OSError, match="link is no plain file"):
        open_plain(tmp_path / "link", most_bytes=5)


def test_a_folder_is_none(tmp_path):
    with pytest.raises(OSError, match="is no plain file"):
        open_plain(tmp_path, most_bytes=5)


def test_what_is_missing_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        open_plain(Path(tmp_path / "nothing"), most_bytes=5)
