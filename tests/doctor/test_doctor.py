import random
import shutil
import subprocess
import sys

import pytest

from sleepcycle.doctor.doctor import CHECKS, is_healthy
from sleepcycle.doctor.inspection import Level
from sleepcycle.store import journal
from tests.doctor.examined import add_version, imprint, look, raw, worst


class TestExamine:
    def test_nothing_fails_in_a_new_home(self, fed):
        found = look(fed)

        assert worst(found) == []
        assert is_healthy(found)
        assert found["schema"].level is Level.OK
        assert found["integrity"].level is Level.OK

    def test_it_changes_nothing(self, fed):
        add_version(fed, 1, live=True)
        with fed.store.write() as session:
            journal.append(session, "user:me", "test")
        before = imprint(fed.paths.root)

        look(fed)

        assert imprint(fed.paths.root) == before

    def test_it_does_not_load_torch(self, home):
        code = (
            "import sys; from pathlib import Path\n"
            "from sleepcycle.doctor.doctor import examine\n"
            f"found = examine(Path({str(home.paths.root)!r}), answers=lambda: True)\n"
            "assert 'base' in found\n"
            "assert not {'torch', 'transformers', 'peft'} & set(sys.modules)\n"
        )

        done = subprocess.run([sys.executable, "-c", code], capture_output=True)

        assert done.returncode == 0, done.stderr

    def test_whatever_is_not_well_comes_with_what_to_do(self, home):
        home.paths.config.unlink()
        home.paths.database.write_bytes(b"no database")

        found = look(home, zone=None, free_bytes=0, memory_bytes=0, file_system="nfs")

        assert len(worst(found)) > 3
        for name, one in found.items():
            assert (one.fix is None) == (one.level is Level.OK), name

    def test_a_place_without_a_home_says_how_to_make_one(self, home):
        shutil.rmtree(home.paths.root)

        found = look(home)

        assert worst(found) == ["home"]
        assert found["home"].fix == f"sleepcycle --home {home.paths.root} init"

    def test_what_a_check_did_not_foresee_is_a_finding(self, home):
        """
        A table of the right name that has other columns.
        """
        with raw(home) as database:
            database.execute("ALTER TABLE alias RENAME TO was")
            database.execute("CREATE TABLE alias (name, version, other)")
            database.execute("INSERT INTO alias VALUES ('live', 0, 1)")

        found = look(home)

        assert "aliases" in worst(found)
        assert found["aliases"].message.startswith("it could not be looked at")

    @pytest.mark.parametrize("seed", range(20))
    def test_damage_anywhere_in_the_database_is_survived(self, fed, seed):
        """
        Every check still answers, whatever the bytes are.
        """
        rng = random.Random(seed)
        data = bytearray(fed.paths.database.read_bytes())
        for _ in range(200):
            data[rng.randrange(len(data))] = rng.randrange(256)
        fed.paths.database.write_bytes(bytes(data[: rng.choice([len(data), 5000])]))

        found = look(fed)

        assert {"database", "integrity"} & set(worst(found))
        assert set(found) <= set(CHECKS)
