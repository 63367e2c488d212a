"""Bring versions to a fake SGLang."""

import pytest

from sleepcycle.errors import PublishError
from sleepcycle.publish.server_models import ServerModels
from sleepcycle.publish.sglang import SglangDriver
from sleepcycle.settings.publishconfig import SglangTarget
from tests.publish.fake_servers import BASE


@pytest.fixture
def box(home, sglang):
    target = SglangTarget(kind="sglang", name="box", url=sglang.url)
    return SglangDriver(ServerModels(target, home.paths.root, home.paths.versions))


def test_each_version_has_a_name_of_its_own(box, sglang, wanted):
    for name in ("v2", "v4"):
        box.bring(wanted(name))

    assert list(sglang.adapters) == ["live@v2", "live@v4"]
    assert box.has(wanted("v4")) == "v4"
    asked = sglang.bodies("/v1/completions")
    assert [body["model"] for body in asked] == [f"{BASE}:live@v2", f"{BASE}:live@v4"]


def test_going_back_loads_nothing_that_is_there(box, sglang, wanted):
    for name in ("v2", "v4", "v2"):
        box.bring(wanted(name))

    assert box.has(wanted("v2")) == "v2"
    assert len(sglang.bodies("/load_lora_adapter")) == 2


def test_the_version_before_stays_and_older_ones_go(box, sglang, wanted):
    sglang.adapters["live@v1"] = "/x"
    for name in ("v2", "v4"):
        box.bring(wanted(name))

    box.tidy(wanted("v4"))

    assert list(sglang.adapters) == ["live@v2", "live@v4"]


def test_what_is_loaded_from_elsewhere_is_loaded_anew(box, sglang, wanted):
    sglang.adapters["live@v4"] = "/other"

    box.bring(wanted("v4"))

    assert sglang.adapters == {"live@v4": str(wanted("v4").folder)}


def test_the_bare_base_leaves_none_of_ours(box, sglang, wanted):
    sglang.adapters["foreign"] = "/x"
    box.bring(wanted("v4"))

    box.bring(wanted("v0"))

    assert list(sglang.adapters) == ["foreign"]
    assert box.has(wanted("v0")) == "v0"


def test_its_own_words_are_told(box, sglang, wanted):
    folder = wanted("v4").folder
    sglang.acts = lambda: {
        ("POST", "/load_lora_adapter"): lambda _: sglang.told(
            "LoRA is not enabled. Please set `--enable-lora` to enable LoRA."
        )
    }

    with pytest.raises(PublishError, match=r"to load live@v4, got 400: LoRA is not en"):
        box.bring(wanted("v4"))

    assert folder.is_dir()


def test_a_list_without_what_was_loaded_is_a_lie(box, sglang, wanted):
    sglang.fault = "lie"

    with pytest.raises(PublishError, match=r"to list live@v4 once .* several"):
        box.bring(wanted("v4"))
