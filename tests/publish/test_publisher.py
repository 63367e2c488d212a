"""The publisher brings each target to its version, whatever happens to either side."""

import time
from contextlib import contextmanager

import pytest

from sleepcycle.daemon.publisher import JITTER, Publisher, Waits
from sleepcycle.daemon.reload import ReloadableHome
from sleepcycle.publish.server_models import LONGEST_WAIT_S, LOOK_S
from sleepcycle.settings.configfile import settings_from
from tests.home.lived import SETTINGS
from tests.journaled import journal_entries
from tests.publish.fake_servers import FakeVllm

PATIENCE_S = 10.0
QUICK = Waits(poll_s=0.02, look_s=0.05, first_s=0.02)


def server_table(kind, server, name="box", **keys):
    return {"kind": kind, "name": name, "url": server.url, **keys}


def settings_with(*targets):
    return settings_from({**SETTINGS, "publish": {"target": list(targets)}})


@contextmanager
def publishing(root, *targets):
    """Publish for the length of a block."""
    reloadable = ReloadableHome(root.paths, settings_with(*targets))
    publisher = Publisher(reloadable, lambda error: None, waits=QUICK)
    publisher.reloadable = reloadable
    publisher.start()
    try:
        yield publisher
    finally:
        publisher.stop()


def wait_for(true, what):
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, what()
        time.sleep(0.01)


def wait_for_version(publisher, version, name="box"):
    """Wait until a target has a version."""

    def so():
        return any(
            (state.name, state.has, state.state, state.error)
            == (name, version, "in_sync", None)
            for state in publisher.states()
        )

    wait_for(so, publisher.states)


def wait_for_error(publisher, words, name="box"):
    """Wait until a target is behind, with such an error."""

    def so():
        return any(
            state.name == name and state.state == "behind" and words in str(state.error)
            for state in publisher.states()
        )

    wait_for(so, publisher.states)


def published(root):
    """Return which versions the journal says that targets were brought to."""
    with root.store.read() as session:
        entries = journal_entries(session, 20)
    said = [each.details for each in entries if each.action == "publish"]
    return [(each["target"], each["version"]) for each in reversed(said)]


class TestServers:
    def test_what_is_live_is_brought_and_so_is_what_comes_after(self, home, vllm):
        with publishing(home, server_table("vllm", vllm)) as publisher:
            wait_for_version(publisher, "v4")
            home.rollback()
            wait_for_version(publisher, "v2")

        folder = home.versions.folder(home.versions.get("v2"))
        assert vllm.adapters["live"] == str(folder)
        assert published(home) == [("box", "v4"), ("box", "v2")]

    def test_a_server_that_was_restarted_gets_it_again(self, home, vllm):
        with publishing(home, server_table("vllm", vllm)) as publisher:
            wait_for_version(publisher, "v4")
            vllm.kill()
            wait_for_error(publisher, "is the server up?")
            assert publisher.states()[0].has is None
            vllm.start()
            wait_for_version(publisher, "v4")

        assert list(vllm.adapters) == ["live@v4", "live"]
        assert published(home) == [("box", "v4")]  # it is no other version

    def test_sglang_that_was_restarted_gets_it_again(self, home, sglang):
        with publishing(home, server_table("sglang", sglang)) as publisher:
            wait_for_version(publisher, "v4")
            sglang.kill()
            wait_for_error(publisher, "is the server up?")
            sglang.start()
            wait_for_version(publisher, "v4")

        assert list(sglang.adapters) == ["live@v4"]

    def test_a_lost_adapter_is_drift_and_comes_back(self, home, vllm):
        with publishing(home, server_table("vllm", vllm)) as publisher:
            wait_for_version(publisher, "v4")
            vllm.adapters.clear()
            wait_for(lambda: len(vllm.adapters) == 2, publisher.states)

    def test_after_a_restart_of_ours_nothing_is_loaded_twice(self, home, vllm):
        for _ in range(2):
            with publishing(home, server_table("vllm", vllm)) as publisher:
                wait_for_version(publisher, "v4")

        assert len(vllm.bodies("/v1/load_lora_adapter")) == 2  # one a name
        assert published(home) == [("box", "v4")]

    @pytest.mark.parametrize(
        ("fault", "words"),
        [
            ("failing", "got 500: EngineCore died"),
            ("no_json", "got 200: <html>a login page</html>"),
            ("garbage", "expected an answer to GET"),
            ("huge", "more than 1,048,576 bytes"),
            ("redirect", "got 307"),
            ("lie", "got a list without it"),
        ],
    )
    def test_one_that_misbehaves_is_told_of_until_it_does_not(
        self, home, vllm, fault, words
    ):
        vllm.fault = fault
        with publishing(home, server_table("vllm", vllm)) as publisher:
            wait_for_error(publisher, words)
            vllm.fault = None
            wait_for_version(publisher, "v4")

    def test_one_that_hangs_holds_up_no_other(self, home, vllm):
        stuck = FakeVllm()
        stuck.fault = "hang"
        tables = (
            server_table("vllm", stuck, "stuck"),
            server_table("vllm", vllm, "well"),
        )

        with publishing(home, *tables) as publisher:
            wait_for_version(publisher, "v4", "well")
            home.rollback()
            wait_for_version(publisher, "v2", "well")

        assert stuck.paths_asked() == ["/v1/models"]
        stuck.kill()


def test_a_server_that_is_back_has_its_version_within_30_s():
    """
    The longest wait, and a look that hangs until it is given up.
    """
    wait_s = LONGEST_WAIT_S * (1 + JITTER)

    assert wait_s + LOOK_S < 30
    assert Waits().look_s + LOOK_S < 30


class TestSettings:
    def test_targets_come_and_go_while_the_service_runs(self, home, vllm, tmp_path):
        folder = {"kind": "folder", "name": "there", "path": str(tmp_path / "there")}
        with publishing(home, server_table("vllm", vllm)) as publisher:
            wait_for_version(publisher, "v4")
            publisher.reloadable.settings = settings_with(folder)
            wait_for_version(publisher, "v4", "there")
            assert [state.name for state in publisher.states()] == ["there"]

        assert (tmp_path / "there" / "current").readlink().name == "v4"

    def test_an_alias_of_ones_own_is_followed(self, home, vllm):
        table = server_table("vllm", vllm, alias="stable")
        with publishing(home, table) as publisher:
            wait_for(
                lambda: (
                    "no version or alias 'stable'"
                    in str([state.error for state in publisher.states()])
                ),
                publisher.states,
            )
            assert publisher.states()[0].state == "idle"
            home.versions.alias("stable", "v2")
            wait_for_version(publisher, "v2")

        assert "stable@v2" in vllm.adapters


class TestHook:
    def test_what_was_told_is_not_told_again_after_a_restart(self, home, vllm):
        vllm.acts = lambda: {("POST", "/hook"): lambda _: (200, "")}
        (home.paths.root / "hook.secret").write_text("a-secret-of-many-letters")
        table = {
            "kind": "webhook",
            "name": "box",
            "url": f"{vllm.url}/hook",
            "secret_file": "hook.secret",
        }

        for _ in range(2):
            with publishing(home, table) as publisher:
                wait_for_version(publisher, "v4")

        assert [body["data"]["version"] for body in vllm.bodies("/hook")] == ["v4"]
