"""Archives: read whole or refused."""

import gzip
import io
import json
import os
import random
import shutil
import tarfile
import tracemalloc

import pytest

from sleepcycle.backup import archive
from sleepcycle.errors import BackupError, DiskError
from sleepcycle.files import disk
from tests.backup.saved import pack

FULL = os.environ.get("SLEEPCYCLE_FAULTS") == "full"
MUTANTS = 2_000 if FULL else 150


class TestUnpack:
    def test_a_disk_that_is_full_is_told_from_one_that_failed(self, tmp_path):
        with (
            open("/dev/full", "wb", buffering=0) as full,
            pytest.raises(DiskError, match=r"to write .*; free some") as raised,
        ):
            archive._write(full, b"text", tmp_path / "file")

        assert disk.is_full(raised.value)


class TestRefusal:
    """Whatever is wrong with a backup, nothing is changed and nothing is left."""

    @pytest.mark.parametrize("content", [b"", b"text", bytes(10_240), b"\x1f\x8b\0"])
    def test_a_file_that_is_no_archive(self, refused, tmp_path, content):
        (tmp_path / "b.tar").write_bytes(content)

        refused(tmp_path / "b.tar", "expected a whole backup")

    @pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
    @pytest.mark.parametrize("packed", [True, False])
    def test_a_huge_header_is_not_taken_into_memory(
        self, refused, tmp_path, kind, packed
    ):
        """
        64 MiB of it, where a chunk is 1 MiB; the header of the member says its size.
        """
        header = tarfile.TarInfo("config.toml")
        header.type, header.size = kind, 1 << 26
        opener = gzip.open if packed else open
        with opener(tmp_path / "b.tar", "wb") as file:
            file.write(header.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 26))

        tracemalloc.start()
        refused(tmp_path / "b.tar", r"cannot be read: a header of 67,108,864 bytes")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        assert most < 1 << 25

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("/etc/evil", tarfile.REGTYPE),
            ("../evil", tarfile.REGTYPE),
            ("versions/../../evil", tarfile.REGTYPE),
            ("versions/v0001-0123456789ab/../evil", tarfile.REGTYPE),
            ("versions/v0001-0123456789ab/a/b", tarfile.REGTYPE),
            ("versions/v0001-0123456789ab/.hidden", tarfile.REGTYPE),
            ("token", tarfile.REGTYPE),
            ("lock", tarfile.REGTYPE),
            ("sleepcycle.db-wal", tarfile.REGTYPE),
            ("config.toml\0", tarfile.REGTYPE),
            ("./config.toml", tarfile.REGTYPE),
            ("sleepcycle.db", tarfile.SYMTYPE),
            ("sleepcycle.db", tarfile.LNKTYPE),
            ("sleepcycle.db", tarfile.CHRTYPE),
            ("sleepcycle.db", tarfile.FIFOTYPE),
            ("versions", tarfile.DIRTYPE),
            ("sleepcycle.db", tarfile.GNUTYPE_SPARSE),
        ],
    )
    def test_a_member_that_no_backup_has(self, refused, tmp_path, name, kind):
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        with tarfile.open(tmp_path / "b.tar", "w", format=tarfile.GNU_FORMAT) as tar:
            tar.addfile(member)

        refused(tmp_path / "b.tar", "is no file of a backup|plain file|is missing|read")

    def test_the_same_name_twice(self, refused, tmp_path):
        with tarfile.open(tmp_path / "b.tar", "w") as tar:
            for _ in range(2):
                tar.addfile(tarfile.TarInfo("config.toml"))

        refused(tmp_path / "b.tar", "is no file of a backup")

    def test_a_member_after_the_manifest(self, refused, saved_once, tmp_path):
        file = shutil.copyfile(saved_once, tmp_path / "b.tar")
        with tarfile.open(file, "a") as tar:
            tar.addfile(tarfile.TarInfo("config.toml"))

        refused(file, "comes after")

    def test_a_member_larger_than_the_disk(self, refused, tmp_path):
        member = tarfile.TarInfo("sleepcycle.db")
        member.size = 1 << 60
        with (tmp_path / "b.tar").open("wb") as file:
            file.write(member.tobuf(tarfile.GNU_FORMAT))

        refused(tmp_path / "b.tar", "expected room|cannot be read")

    def test_a_manifest_of_another_format(self, refused, taken_out, tmp_path):
        folder, contents = taken_out
        file = pack(tmp_path, folder, contents)
        with tarfile.open(file) as tar:
            text = json.loads(tar.extractfile("backup.json").read())
        with tarfile.open(tmp_path / "2.tar", "w") as tar:
            text["format"] = 2
            data = json.dumps(text).encode()
            member = tarfile.TarInfo("backup.json")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))

        refused(tmp_path / "2.tar", "expected .* format 1, got 2")

    def test_every_damaged_copy_is_refused_or_says_the_same(
        self, saved_once, tmp_path, record_property
    ):
        """
        Only what no reader looks at, such as padding, may change unnoticed.
        """
        rng = random.Random(0)
        whole, good = saved_once.read_bytes(), archive.unpack(saved_once, None)
        file, refused = tmp_path / "b.tar", 0
        for _ in range(MUTANTS):
            file.write_bytes(_mutant(whole, rng))
            try:
                found = archive.unpack(file, None)
            except BackupError:
                refused += 1
            else:
                assert found == good
        record_property("damaged backups refused", refused)
        record_property("damaged backups that read the same", MUTANTS - refused)
        assert refused > MUTANTS // 2


def _mutant(whole, rng):
    """Return a backup with some damage."""
    data = bytearray(whole)
    kind = rng.randrange(3)
    if kind == 0:
        return bytes(data[: rng.randrange(len(data))])
    if kind == 1:
        at = rng.randrange(len(data))
        data[at:at] = rng.randbytes(rng.choice([1, 512]))
        return bytes(data)
    for _ in range(rng.choice([1, 1, 8, 64])):
        at = rng.randrange(len(data))
        data[at] ^= 1 << rng.randrange(8)
    return bytes(data)
