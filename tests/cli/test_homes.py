"""Homes half made, made for another base, or made where a home is already."""

import shutil

import pytest
from loguru import logger

import sleepcycle
from sleepcycle.errors import ConfigError, HomeError, StoreError
from sleepcycle.files.paths import PACKAGE, HomePaths
from sleepcycle.home.opening import create_home, open_home
from sleepcycle.settings.configfile import load_settings


@pytest.fixture
def paths(tmp_path):
    """A place where no home is yet."""
    return HomePaths(tmp_path / "home")


@pytest.fixture
def model(tmp_path):
    """Folder of a base that can be loaded."""
    shutil.copytree(PACKAGE / "nano", tmp_path / "model")
    return tmp_path / "model"


class TestHalfMade:
    def test_a_wrong_setting_leaves_nothing(self, paths, monkeypatch):
        monkeypatch.setenv("SLEEPCYCLE__WAKE__RANK", "0")

        with pytest.raises(ConfigError, match=r"wake\.rank: .*got '0'"):
            create_home(paths.root)

        assert not paths.root.exists()

    def test_folders_without_books_are_no_hindrance(self, paths):
        """
        As a kill leaves them: the settings half written, the folders made.
        """
        create_home(paths.root)
        paths.database.unlink()
        paths.config.rename(paths.root / ".config.toml.partial")

        assert create_home(paths.root)
        assert open_home(paths.root).status().live == "v0"
        assert not (paths.root / ".config.toml.partial").exists()

    def test_an_empty_database_is_no_home_yet(self, paths):
        create_home(paths.root)
        paths.database.write_bytes(b"")

        with pytest.raises(HomeError, match="no home at"):
            open_home(paths.root)
        assert create_home(paths.root)
        assert not create_home(paths.root)
        assert open_home(paths.root).status().live == "v0"

    def test_other_things_in_our_folders_are_left_alone(self, paths):
        paths.cache.mkdir(parents=True)
        (paths.cache / "theirs").touch()

        with pytest.raises(HomeError, match="there are other things in it"):
            create_home(paths.root)

        assert list(paths.root.iterdir()) == [paths.cache]

    def test_one_that_lost_its_database_is_told_to_put_back_a_copy(self, paths):
        """
        And not to make one, which would be refused, with the same advice.
        """
        create_home(paths.root)
        (paths.versions / "v0001-0123456789ab").mkdir()
        paths.database.unlink()

        for make_or_open in (open_home, create_home):
            with pytest.raises(
                HomeError, match=r"put back a copy: .* restore BACKUP --replace"
            ):
                make_or_open(paths.root)

    def test_one_that_a_killed_restore_left_is_not_told_to_make_one(self, paths):
        (paths.scratch / "stage").mkdir(parents=True)

        with pytest.raises(HomeError, match=r"restore BACKUP --replace") as refusal:
            open_home(paths.root)

        assert "make one" not in str(refusal.value)

    def test_a_database_that_is_not_ours_is_left_alone(self, paths):
        paths.root.mkdir()
        paths.database.write_bytes(b"no database at all" * 100)

        with pytest.raises(StoreError, match="file is not a database"):
            create_home(paths.root)

        assert list(paths.root.iterdir()) == [paths.database]


class TestBase:
    def test_another_base_than_the_file_names_is_refused(self, paths):
        paths.root.mkdir()
        paths.config.write_text('[model]\nbase = "mine"\n')

        with pytest.raises(HomeError, match=r"base other, but .*config\.toml .* mine;"):
            create_home(paths.root, base="other")

        assert list(paths.root.iterdir()) == [paths.config]

    def test_the_base_that_the_file_names_is_taken(self, paths, model):
        paths.root.mkdir()
        paths.config.write_text(f'[model]\nbase = "{model}"\n')

        assert create_home(paths.root, base=str(model))
        assert open_home(paths.root).status().base.id == str(model)

    def test_a_home_with_another_base_is_not_said_to_be_fine(self, paths):
        create_home(paths.root)

        assert not create_home(paths.root, base="builtin:nano")
        with pytest.raises(HomeError, match="expected the base other, but"):
            create_home(paths.root, base="other")

    def test_a_folder_is_found_from_elsewhere_too(self, paths, model, monkeypatch):
        monkeypatch.chdir(model.parent)

        create_home(paths.root, base="model")

        whole = str(model.resolve())
        assert load_settings(paths.config).model.base == whole
        assert not create_home(paths.root, base="model")

    def test_a_hub_id_stays_one(self, paths, model, tmp_path, monkeypatch):
        cached = tmp_path / "hub" / "models--owner--model"
        (cached / "refs").mkdir(parents=True)
        (cached / "refs" / "main").write_text("0" * 40)
        shutil.copytree(model, cached / "snapshots" / ("0" * 40))
        monkeypatch.setattr(
            "huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub")
        )

        create_home(paths.root, base="owner/model")

        assert load_settings(paths.config).model.base == "owner/model"


def test_the_demo_does_not_enter_a_home(cli):
    said = cli.error("demo", "--keep", cli.home)

    assert f"{cli.home} is a home already; name another one with --keep" in said
    assert cli.json("batches", "list") == []


def test_a_wrong_variable_ends_in_one_line(cli):
    cli.settings = {"SLEEPCYCLE__WAEK__RANK": "0"}

    assert "did you mean SLEEPCYCLE__WAKE__RANK?" in cli.error("batches", "list")


def test_a_host_program_keeps_its_log(paths):
    heard = []
    handler = logger.add(heard.append, format="{message}")

    sleepcycle.open(paths.root).feed  # noqa: B018 - opened, and nothing else
    logger.info("still here")

    logger.remove(handler)
    assert heard == ["still here\n"]
