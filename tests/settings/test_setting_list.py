"""Each setting is listed with its value, where that comes from, and its sentence."""

import pytest

from sleepcycle.errors import ConfigError
from sleepcycle.settings.configfile import load_settings
from sleepcycle.settings.setting_list import SettingSource, list_settings

DEFAULT, FILE, ENVIRONMENT = SettingSource


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """The settings of a file and an environment, by their names."""
    file = tmp_path / "config.toml"
    file.write_text(
        "[wake]\nrank = 8\nalpha = 32.0\n[sleep.svd]\nrank = 4\n"
        '[[publish.target]]\nkind = "folder"\nname = "box"\npath = "/srv"\n'
    )
    monkeypatch.setenv("SLEEPCYCLE__WAKE__RANK", "12")
    monkeypatch.setenv("sleepcycle__log", '{"keep": 7}')
    return {one.name: one for one in list_settings(load_settings(file), file)}


def test_the_environment_goes_before_the_file(listed):
    found = listed["wake.rank"]

    assert (found.value, found.source, found.is_default) == ("12", ENVIRONMENT, False)
    assert found.sentence == "Rank of the day adapter, at most 256."


def test_a_section_may_be_set_as_a_whole(listed):
    assert (listed["log.keep"].value, listed["log.keep"].source) == ("7", ENVIRONMENT)


def test_what_a_file_says_may_be_the_default(listed):
    found = listed["wake.alpha"]

    assert (found.source, found.is_default) == (FILE, True)


def test_what_nobody_says_is_the_default(listed):
    found = listed["store.busy_timeout_s"]

    assert (found.value, found.source, found.is_default) == ("60.0", DEFAULT, True)


def test_tables_in_tables_are_found(listed):
    assert '"name": "box"' in listed["publish.target"].value
    assert listed["publish.target"].source is FILE


def test_every_setting_has_its_sentence(listed):
    assert all(one.sentence for one in listed.values())
    assert len(listed) > 100


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="expected to read the settings"):
        list_settings(load_settings(None), tmp_path)
