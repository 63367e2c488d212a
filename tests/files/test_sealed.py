"""Sealed folders: what was sealed verifies, anything else is named."""

import json

import pytest

from sleepcycle.errors import ManifestError
from sleepcycle.files.sealed import MANIFEST, faults, seal, verify


@pytest.fixture
def folder(tmp_path):
    """A sealed folder with two files."""
    stage = tmp_path / "stage"
    stage.mkdir()
    (stage / "weights.bin").write_bytes(bytes(range(256)) * 16)
    (stage / "card.json").write_text("{}")
    (tmp_path / "versions").mkdir()
    return seal(stage, tmp_path / "versions", "v0001")


def test_what_was_sealed_verifies(folder):
    verify(folder)

    assert list(faults(folder)) == []


def test_the_stage_is_moved(folder, tmp_path):
    assert not (tmp_path / "stage").exists()
    assert folder.parent == tmp_path / "versions"


def test_equal_bytes_get_an_equal_name(folder, tmp_path):
    """
    The name stands for the bytes.
    """
    again = tmp_path / "again"
    again.mkdir()
    for file in folder.iterdir():
        if file.name != MANIFEST:
            (again / file.name).write_bytes(file.read_bytes())
    (tmp_path / "elsewhere").mkdir()

    assert seal(again, tmp_path / "elsewhere", "v0001").name == folder.name


def test_every_flipped_bit_is_found(folder):
    """
    Each byte position of a small file in turn, manifest included.
    """
    for file in sorted(folder.iterdir()):
        whole = file.read_bytes()
        for position in range(0, len(whole), max(1, len(whole) // 64)):
            broken = bytearray(whole)
            broken[position] ^= 1 << (position % 8)
            file.write_bytes(broken)

            assert list(faults(folder)), f"{file.name} byte {position}"
        file.write_bytes(whole)
    verify(folder)


def as_link(file):
    """Move a file beside its folder, and leave a link to it."""
    file.rename(moved := file.parent.parent / "moved")
    file.symlink_to(moved)


def huge(file):
    """Give a file a terabyte of nothing."""
    with file.open("r+b") as opened:
        opened.truncate(1 << 40)


def test_a_file_of_another_size_is_not_read(folder):
    """
    A terabyte, whose hash would take an hour.
    """
    huge(folder / "weights.bin")

    with pytest.raises(ManifestError, match=r"weights\.bin differs .* 1099511627776 b"):
        verify(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "weights.bin").unlink(), r"weights\.bin is missing"),
        (lambda f: (f / "extra").touch(), r"extra is not in the manifest"),
        (lambda f: (f / "weights.bin").write_bytes(b""), r"weights\.bin differs"),
        (lambda f: (f / "weights.bin").write_bytes(b""), r"sealed: 0 bytes, where \d+"),
        (
            lambda f: as_link(f / "weights.bin"),
            r"weights\.bin differs .* plain",
        ),
        (lambda f: as_link(f / MANIFEST), r"expected a manifest\.json, found none"),
        (lambda f: huge(f / MANIFEST), r"manifest\.json is larger than any"),
        (lambda f: (f / MANIFEST).unlink(), r"expected a manifest\.json, found none"),
    ],
)
def test_damage_is_named(folder, damage, message):
    damage(folder)

    with pytest.raises(ManifestError, match=message):
        verify(folder)


def test_a_manifest_written_anew_over_changed_files_is_found(folder):
    """
    Whoever edits a file and its manifest has not edited the folder's name.
    """
    (folder / "card.json").write_text('{"accepted": true}')
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["files"]["card.json"]
    (folder / MANIFEST).write_text(json.dumps(manifest))

    with pytest.raises(ManifestError, match="not the one that named this folder"):
        verify(folder)
