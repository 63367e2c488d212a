"""Bring versions to a folder."""

import json
import threading

import pytest
import yaml

from sleepcycle.errors import PublishError
from sleepcycle.publish.driver import WantedVersion
from sleepcycle.publish.model_card import model_card
from sleepcycle.publish.published_folder import FolderDriver


@pytest.fixture
def place(tmp_path):
    return tmp_path / "published"


@pytest.fixture
def box(place, home):
    return FolderDriver(place, home.paths.root)


def test_current_leads_to_the_sealed_bytes(box, place, wanted):
    box.bring(wanted("v4"))

    here, sealed = place / "current", wanted("v4").folder
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (here / name).read_bytes() == (sealed / name).read_bytes()
    assert box.has(wanted("v4")) == "v4"


def test_nothing_private_leaves_the_home(box, place, wanted):
    """
    A card tells of feeds and conversations, and dreams may hold examples.
    """
    box.bring(wanted("v4"))

    assert {path.name for path in (place / "v4").iterdir()} == {
        "adapter_model.safetensors",
        "adapter_config.json",
        "README.md",
        "version.json",
    }


def test_the_file_of_a_version_names_it_and_its_bytes(box, place, wanted):
    box.bring(wanted("v4"))

    said = json.loads((place / "v4" / "version.json").read_text())
    assert (said["version"], said["base"]) == ("v4", "acme/base")
    hashes = wanted("v4").hashes()
    assert said["sha256"] == {name: hashes[name] for name in said["sha256"]}


def test_a_reader_always_finds_one_whole_version(box, place, wanted):
    """
    The link is moved in one step: at no time is there none.
    """
    versions = [wanted("v2"), wanted("v4")]
    box.bring(versions[0])
    found, over = set(), threading.Event()

    def read():
        while not over.is_set():
            try:
                found.add((place / "current").readlink().name)
            except OSError:
                found.add("none")

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(200):
        box.bring(versions[number % 2])
    over.set()
    reader.join()

    assert found == {"v2", "v4"}


def test_a_file_that_was_changed_is_found_and_written_again(box, place, wanted):
    box.bring(wanted("v4"))
    (place / "v4" / "adapter_config.json").write_text("{}")

    seen = box.has(wanted("v4"))
    box.bring(wanted("v4"))

    assert (seen, box.has(wanted("v4"))) == (None, "v4")


def test_going_back_moves_the_link_alone(box, place, wanted):
    for name in ("v2", "v4"):
        box.bring(wanted(name))
    stamp = (place / "v2").stat().st_mtime_ns

    box.bring(wanted("v2"))

    assert box.has(wanted("v2")) == "v2"
    assert (place / "v2").stat().st_mtime_ns == stamp


def test_the_bare_base_has_no_link(box, place, wanted):
    box.bring(wanted("v4"))

    box.bring(wanted("v0"))

    assert box.has(wanted("v0")) == "v0"
    assert (place / "v4").is_dir()


def test_old_versions_of_ours_are_deleted_and_nothing_else(box, place, wanted):
    for name in ("v1", "v2", "v3", "v4"):
        box.bring(wanted(name))
    (place / "v0").mkdir()
    (place / "notes").mkdir()

    box.tidy(wanted("v4"))

    left = {path.name for path in place.iterdir()}
    assert left == {"v2", "v3", "v4", "v0", "notes", "current"}


def test_what_is_not_ours_is_not_written_over(box, place, wanted):
    (place / "v4").mkdir(parents=True)

    with pytest.raises(PublishError, match=r"v4 to be free or a version of ours"):
        box.bring(wanted("v4"))


def test_a_folder_called_current_is_not_written_over(box, place, wanted):
    (place / "current").mkdir(parents=True)

    with pytest.raises(PublishError, match=r"current to be a link or free"):
        box.bring(wanted("v4"))


def test_a_folder_in_the_home_is_refused(home, wanted):
    box = FolderDriver(home.paths.versions / "x", home.paths.root)

    with pytest.raises(PublishError, match=r"expected a folder outside of the home"):
        box.bring(wanted("v4"))


def test_a_disk_that_refuses_is_one_sentence(box, place, wanted):
    place.write_text("a file")

    with pytest.raises(PublishError, match=r"to write to .*published, got: File"):
        box.bring(wanted("v4"))


@pytest.mark.parametrize("base", ["acme/base", "/models/base", "builtin:nano"])
def test_the_cards_head_is_yaml_for_the_hub(base):
    """
    `base_model` must be an id of the hub, or it is not there.
    """
    card = model_card(WantedVersion("v4", None, base))

    head = yaml.safe_load(card.split("---\n")[1])
    assert head["library_name"] == "peft"
    assert head.get("base_model") == (base if base == "acme/base" else None)
    assert head["version"] == "v4"
