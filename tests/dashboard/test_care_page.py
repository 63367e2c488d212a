"""Care: how the home is, backups, and what is read again."""

from datetime import UTC, datetime

import pytest

from sleepcycle.errors import ConfigError
from sleepcycle.home.disk_space import MB
from sleepcycle.records.target_state import TargetCondition, TargetState
from sleepcycle.settings.configfile import settings_from


class TestPage:
    def test_it_says_what_there_is_and_what_is_wanted(self, browser):
        words = browser.get("/care").words

        assert "Free disk space" in words
        assert "a run wants 256.0 MB" in words
        assert "None was made here yet." in words
        assert "[[publish.target]]" in words

    def test_a_disk_without_room_is_said(self, dashboard, browser):
        settings = settings_from({"engine": {"reserve_mb": 10**9}})
        dashboard.scheduler.settings = settings

        words = browser.get("/care").words

        assert f"a run wants {10**9 * MB / 1e12:.1f} TB, so none begins" in words

    def test_a_target_that_is_behind_is_named_with_why(self, dashboard, browser):
        moment = datetime.now(UTC)
        behind = TargetCondition.BEHIND
        box = TargetState("box", "vllm", "v3", "v2", behind, "no <answer>", moment)
        dashboard.scheduler.become(targets=(box,))

        page = browser.get("/care")

        assert "box vllm v3 v2 behind no &lt;answer&gt;" in page.words


class TestForms:
    @pytest.mark.parametrize("asked", ["pause", "resume", "reload"])
    def test_they_do_what_they_say(self, dashboard, browser, asked):
        page = browser.post(f"/care/{asked}")

        assert page.status == 200
        assert dashboard.scheduler.asked == [asked]

    def test_a_pause_can_be_undone(self, browser):
        assert ("post", "/care/resume", {}) in browser.post("/care/pause").forms

    def test_settings_that_are_wrong_are_said_in_words(self, dashboard, browser):
        dashboard.scheduler.error = ConfigError("unknown setting wake.rnk")

        page = browser.send("POST", "/care/reload", {})

        assert page.status == 422
        assert "unknown setting wake.rnk; all stay as they were" in page.words


class TestBackup:
    def test_one_is_made_in_the_home(self, dashboard, browser):
        page = browser.post("/care/backups")

        [file] = dashboard.paths.backups.iterdir()
        assert f"Backed up into {file}" in page.words
        assert f"{file.name} now" in page.words

    def test_one_is_made_elsewhere(self, dashboard, browser, tmp_path):
        page = browser.post("/care/backups", folder=f"  {tmp_path / 'new.tar'} ")

        assert (tmp_path / "new.tar").is_file()
        assert f"Backed up into {tmp_path / 'new.tar'}" in page.words

    @pytest.mark.parametrize(
        ("folder", "said"),
        [
            ("elsewhere", "expected the whole path"),
            ("/not/there/at.tar", "make it"),
            ("/x\0y", "expected a path of a folder"),
            ("/" + "x" * 5000, "expected at most 4096 characters"),
        ],
    )
    def test_a_wrong_place_is_said_and_kept(self, browser, folder, said):
        page = browser.send("POST", "/care/backups", {"folder": folder})

        assert page.status == 422
        assert said in page.words
        assert f'value="{folder}"' in page.text
