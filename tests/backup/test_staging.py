"""Homes that are taken out of a backup: whole or refused."""

import json
import shutil

import pytest

from sleepcycle.errors import ConfigError
from tests.backup.saved import pack, sql

PLANTED = (
    "CREATE TRIGGER evil AFTER INSERT ON journal BEGIN "
    "UPDATE alias SET version = 0; END"
)
OTHER_TRIGGER = (
    "DROP TRIGGER journal_no_update",
    PLANTED.replace("evil", "journal_no_update"),
)


class TestRefusal:
    """Whatever is wrong with a backup, nothing is changed and nothing is left."""

    @pytest.mark.parametrize(
        ("damage", "match"),
        [
            (lambda f: (f / "config.toml").unlink(), r"config\.toml is missing"),
            (lambda f: (f / "sleepcycle.db").unlink(), r"sleepcycle\.db is missing"),
            (lambda f: shutil.rmtree(_version(f, 1)), "v1: .*found none"),
            (lambda f: (_version(f, 4) / "card.json").write_text(""), "card of"),
            (lambda f: (_version(f, 4) / "card.json").unlink(), "v4: card"),
            (lambda f: _stray(f), "its database does not know v0009"),
            (
                lambda f: sql(f, "DELETE FROM alias WHERE name = 'live'"),
                "live is N",
            ),
            (lambda f: sql(f, PLANTED), "has the trigger 'evil', which sleepcycle did"),
            (lambda f: sql(f, "CREATE VIEW evil AS SELECT 1"), "has the view 'evil', "),
            (lambda f: sql(f, "CREATE TABLE evil (x)"), "has the table 'evil', which"),
            (lambda f: sql(f, *OTHER_TRIGGER), "the trigger 'journal_no_update', w"),
            (lambda f: sql(f, "UPDATE alias SET version = 99"), "refers to nothing"),
            (lambda f: sql(f, "DELETE FROM example WHERE id = 1"), "refers|missing"),
            (
                lambda f: sql(f, "INSERT INTO removed VALUES (4, '2026-11-23', 'x')"),
                "its database does not know v0004",
            ),
            (lambda f: sql(f, "INSERT INTO removed VALUES (4, 'x', 'x')"), "be read"),
            (
                lambda f: sql(
                    f,
                    "DROP TRIGGER journal_no_update",
                    "UPDATE journal SET actor = 'nobody' WHERE id = 2",
                ),
                "journal entry 2 was edited",
            ),
            (
                lambda f: (f / "journal.head").write_text(
                    json.dumps({"entry": 999, "hash": "00" * 32})
                ),
                "journal",
            ),
        ],
    )
    def test_a_home_that_is_not_whole_under_hashes_that_are(
        self, refused, taken_out, tmp_path, damage, match
    ):
        """
        Whoever made the backup, its hashes prove only that it arrived as it was sent.
        """
        folder, contents = taken_out
        damage(folder)

        refused(pack(tmp_path, folder, contents), match)

    def test_a_database_of_a_newer_package(self, refused, taken_out, tmp_path):
        folder, contents = taken_out
        sql(folder, "UPDATE alembic_version SET version_num = '9999'")

        refused(pack(tmp_path, folder, contents), "install the newer")

    def test_a_database_that_is_none(self, refused, taken_out, tmp_path):
        folder, contents = taken_out
        (folder / "sleepcycle.db").write_bytes(b"no database")

        refused(pack(tmp_path, folder, contents), "not a database")

    def test_settings_that_are_wrong(self, refused, taken_out, tmp_path):
        folder, contents = taken_out
        (folder / "config.toml").write_text("[wake]\nrnk = 3\n")

        refused(pack(tmp_path, folder, contents), "unknown setting", ConfigError)


def _version(folder, number):
    [found] = (folder / "versions").glob(f"v{number:04d}-*")
    return found


def _stray(folder):
    shutil.copytree(_version(folder, 1), folder / "versions" / "v0009-0123456789ab")
