"""Bring versions to a fake vLLM."""

import pytest

from sleepcycle.errors import ManifestError, PublishError
from sleepcycle.publish.server_models import ServerModels
from sleepcycle.publish.vllm import VllmDriver
from sleepcycle.settings.publishconfig import VllmTarget
from tests.publish.fake_servers import BASE


def driver(home, server, **keys):
    target = VllmTarget(kind="vllm", name="box", url=server.url, **keys)
    models = ServerModels(target, home.paths.root, home.paths.versions)
    return VllmDriver(models, in_place=target.in_place)


class TestBring:
    def test_each_version_has_a_name_and_the_bare_one_moves(self, home, vllm, wanted):
        box = driver(home, vllm)

        for name in ("v2", "v4"):
            box.bring(wanted(name))

        old, new = str(wanted("v2").folder), str(wanted("v4").folder)
        assert vllm.adapters == {"live@v2": old, "live": new, "live@v4": new}
        assert (box.has(wanted("v4")), box.has(wanted("v2"))) == ("v4", "v4")

    def test_a_path_is_never_loaded_twice_under_one_name(self, home, vllm, wanted):
        """
        vLLM keeps what it computed for a name and a path, and would answer by that.
        """
        box = driver(home, vllm)

        for name in ("v2", "v4", "v4", "v2"):
            box.bring(wanted(name))

        loads = vllm.bodies("/v1/load_lora_adapter")
        assert [(body["lora_name"], body.get("load_inplace")) for body in loads] == [
            ("live@v2", None),
            ("live", True),
            ("live@v4", None),
            ("live", True),
            ("live", True),
        ]
        assert vllm.adapters["live"] == str(wanted("v2").folder)

    def test_the_bare_name_moves_once_the_version_has_answered(
        self, home, vllm, wanted
    ):
        box = driver(home, vllm)
        box.bring(wanted("v2"))
        vllm.fault = "mute"

        with pytest.raises(PublishError, match=r"expected live@v4 to answer at .* 404"):
            box.bring(wanted("v4"))

        assert vllm.adapters["live"] == str(wanted("v2").folder)
        assert box.has(wanted("v4")) == "v2"

    def test_the_path_is_that_of_the_servers_container(self, home, vllm, wanted):
        box = driver(home, vllm, versions_path="/adapters")

        with pytest.raises(PublishError, match=r"No adapter found for /adapters/v0"):
            box.bring(wanted("v4"))

    def test_without_in_place_only_versions_are_named(self, home, vllm, wanted):
        box = driver(home, vllm, in_place=False, serve_as="helper")

        box.bring(wanted("v4"))

        assert list(vllm.adapters) == ["helper@v4"]
        assert box.has(wanted("v4")) == "v4"

    def test_what_is_loaded_from_elsewhere_is_loaded_anew(self, home, vllm, wanted):
        """
        A home that was restored may have another version of the same number.
        """
        vllm.adapters["live@v4"] = "/other/versions/v0004-0123456789ab"
        box = driver(home, vllm)

        box.bring(wanted("v4"))

        assert vllm.adapters["live@v4"] == str(wanted("v4").folder)

    def test_the_bare_base_leaves_none_of_ours(self, home, vllm, wanted):
        vllm.adapters["foreign"] = "/x"
        box = driver(home, vllm)
        box.bring(wanted("v4"))

        box.bring(wanted("v0"))

        assert list(vllm.adapters) == ["foreign"]
        assert box.has(wanted("v0")) == "v0"

    def test_damaged_bytes_are_not_handed_over(self, home, vllm, wanted):
        weights = wanted("v4").folder / "adapter_model.safetensors"
        weights.chmod(0o600)
        weights.write_bytes(b"x")

        with pytest.raises(ManifestError, match=r"differs from what was sealed"):
            driver(home, vllm).bring(wanted("v4"))

        assert vllm.adapters == {}


class TestTidy:
    def test_the_version_before_stays_and_older_ones_go(self, home, vllm, wanted):
        vllm.adapters |= {"live@v1": "/x", "foreign@v1": "/y"}
        box = driver(home, vllm)
        for name in ("v2", "v4"):
            box.bring(wanted(name))

        box.tidy(wanted("v4"))

        assert set(vllm.adapters) == {"foreign@v1", "live@v2", "live@v4", "live"}


class TestHas:
    def test_a_version_has_to_answer_before_it_counts(self, home, vllm, wanted):
        """
        After a restart of ours, what the server lists is asked once, and not loaded.
        """
        driver(home, vllm).bring(wanted("v4"))
        loaded = len(vllm.bodies("/v1/load_lora_adapter"))
        again = driver(home, vllm)

        before = again.has(wanted("v4"))
        again.bring(wanted("v4"))

        assert (before, again.has(wanted("v4"))) == (None, "v4")
        assert len(vllm.bodies("/v1/load_lora_adapter")) == loaded

    def test_a_base_of_our_name_is_refused(self, home, vllm, wanted):
        box = driver(home, vllm, serve_as=BASE)

        with pytest.raises(PublishError, match=r"got one; set serve_as to another"):
            box.has(wanted("v4"))

    def test_without_in_place_versions_may_have_the_bases_name(
        self, home, vllm, wanted
    ):
        box = driver(home, vllm, serve_as=BASE, in_place=False)

        box.bring(wanted("v4"))

        assert box.has(wanted("v4")) == "v4"
        assert list(vllm.adapters) == [f"{BASE}@v4"]


class TestRefusal:
    def test_a_server_that_takes_none_says_how_to_start_it(self, home, vllm, wanted):
        vllm.acts = dict

        with pytest.raises(PublishError, match=r"got 404: Not Found; .*RUNTIME_LORA"):
            driver(home, vllm).bring(wanted("v4"))

    def test_an_old_one_changes_nothing_in_place(self, home, vllm, wanted):
        """
        Before 0.33 it would read the adapter from the disk at each step.
        """
        vllm.version = "0.26.0"

        with pytest.raises(PublishError, match=r"expected vLLM 0\.33 .* got 0\.26\.0"):
            driver(home, vllm).bring(wanted("v4"))

        assert list(vllm.adapters) == ["live@v4"]

    def test_a_list_without_what_was_loaded_is_a_lie(self, home, vllm, wanted):
        vllm.fault = "lie"

        with pytest.raises(PublishError, match=r"to list live@v4 once .* several"):
            driver(home, vllm).bring(wanted("v4"))

    def test_the_key_is_read_from_its_file(self, home, vllm, wanted):
        vllm.token = "key-of-the-server"
        (home.paths.root / "vllm.key").write_text("key-of-the-server\n")

        box = driver(home, vllm, token_file="vllm.key")
        box.bring(wanted("v4"))

        assert box.has(wanted("v4")) == "v4"

    def test_a_wrong_key_says_where_it_is_set(self, home, vllm, wanted):
        vllm.token = "key-of-the-server"

        with pytest.raises(PublishError, match=r"got 401: Unauth.*; name .*: token_fi"):
            driver(home, vllm).has(wanted("v4"))

    def test_a_key_that_is_missing_is_named(self, home, vllm, wanted):
        box = driver(home, vllm, token_file="none.key")

        with pytest.raises(PublishError, match=r"a secret in .*none\.key, got"):
            box.has(wanted("v4"))
