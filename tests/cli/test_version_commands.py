"""Versions by the command line: look, go back, carry out and in, refuse."""

import json
import pickle
import shutil
import sqlite3
from contextlib import closing

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from sleepcycle.files.paths import PACKAGE
from tests.cli.conftest import LESSONS

CAPITALS = LESSONS / "capitals.jsonl"
WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"


def folder_of(cli, name):
    """Return where a version lies."""
    [found] = (cli.home / "versions").glob(f"v{int(name[1:]):04d}-*")
    return found


def flip_a_byte(file):
    """Change one byte in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.chmod(0o600)
    file.write_bytes(content)


@pytest.fixture
def exported(lived, tmp_path):
    """The live version as an ordinary PEFT folder."""
    lived.run("versions", "export", "live", tmp_path / "out")
    return tmp_path / "out"


class TestRollback:
    def test_it_is_one_command_and_back(self, lived, quiz):
        prompt, answer = quiz
        back = lived.json("rollback", "v0")
        assert (back["live"], back["previous"], back["requeued"]) == ("v0", "v2", 0)
        assert back["orphaned"] == lived.json("status")["orphaned"] == 384
        assert lived.json("ask", prompt)["text"] != answer

        forth = lived.json("rollback")
        assert (forth["live"], forth["orphaned"]) == ("v2", 0)
        assert lived.json("status")["orphaned"] == 0
        assert lived.json("ask", prompt)["text"] == answer

    def test_there_is_nothing_before_the_first(self, cli):
        assert "nothing was live before v0" in cli.error("rollback")

    def test_requeued_examples_are_pending(self, lived):
        assert lived.json("rollback", "v0", "--requeue")["requeued"] == 384
        assert lived.json("status")["pending"] == 384

    def test_what_was_requeued_is_known_again_when_its_version_is_live(self, lived):
        """
        Else the version would learn its own lesson twice.
        """
        lived.run("rollback", "v0", "--requeue")
        lived.run("versions", "promote", "v2")

        assert lived.json("status")["pending"] == 0

    def test_a_rollback_is_in_no_way_a_deletion(self, lived):
        before = lived.json("versions", "list")
        lived.run("rollback", "v0")

        after = lived.json("versions", "list")
        assert [v["version"] for v in after] == [v["version"] for v in before]
        assert lived.json("versions", "verify")["failed"] == []


class TestJournal:
    def test_an_entry_that_was_edited_is_found(self, cli):
        cli.run("feed", CAPITALS)
        whole = cli.run("versions", "verify").stdout
        assert whole == "0 versions and the journal checked, 0 failed\n"

        with closing(sqlite3.connect(cli.home / "sleepcycle.db")) as connection:
            connection.execute("DROP TRIGGER journal_no_update")
            connection.execute("UPDATE journal SET actor = 'user:eve'")
            connection.commit()

        found = cli.json("versions", "verify", exit_code=1)
        fault = "journal entry 1 was edited after it was written"
        assert found["failed"] == [{"version": "journal", "fault": fault}]
        assert found["checked"] == 0
        assert f"journal: {fault}" in cli.run("versions", "verify", exit_code=1).stdout

    def test_an_older_database_is_found(self, cli, tmp_path):
        older = shutil.copyfile(cli.home / "sleepcycle.db", tmp_path / "older.db")
        cli.run("feed", CAPITALS)
        shutil.copyfile(older, cli.home / "sleepcycle.db")

        found = cli.json("versions", "verify", exit_code=1)
        assert "sleepcycle restore" in found["failed"][0]["fault"]


class TestTaint:
    def test_an_excluded_batch_taints_what_learned_it_and_what_came_from_that(
        self, lived
    ):
        assert not any(found["tainted"] for found in lived.json("versions", "list"))

        lived.run("batches", "exclude", 1)

        tainted = {v["version"]: v["tainted"] for v in lived.json("versions", "list")}
        assert tainted == {"v0": False, "v1": True, "v2": True}
        assert "tainted" in lived.run("versions", "list").stdout


class TestRefusal:
    def test_a_changed_byte_is_found_and_never_loaded(self, lived):
        flip_a_byte(folder_of(lived, "v2") / WEIGHTS)

        found = lived.json("versions", "verify", exit_code=1)
        assert [fault["version"] for fault in found["failed"]] == ["v2"]
        assert WEIGHTS in lived.error("ask", "hello")
        lived.run("rollback", "v0")
        assert WEIGHTS in lived.error("rollback", "v2")
        assert lived.json("status")["live"] == "v0"

    def test_a_value_that_is_not_a_number(self, lived, exported):
        tensors = load_file(exported / WEIGHTS)
        next(iter(tensors.values()))[0, 0] = torch.nan
        save_file(tensors, exported / WEIGHTS)

        assert "NaN" in lived.error("versions", "import", exported)

    def test_pickle_is_not_read(self, lived, exported, tmp_path):
        class Trap:
            def __reduce__(self):
                return (open, (str(tmp_path / "sprung"), "w"))

        (exported / WEIGHTS).unlink()
        (exported / "adapter_model.bin").write_bytes(pickle.dumps(Trap()))

        assert "was not read" in lived.error("versions", "import", exported)
        assert not (tmp_path / "sprung").exists()

    def test_an_adapter_of_another_base(self, lived, exported):
        tensors = {
            name: tensor[:, :8].contiguous() if "lora_A" in name else tensor
            for name, tensor in load_file(exported / WEIGHTS).items()
        }
        save_file(tensors, exported / WEIGHTS)

        assert "expected a change of shape" in lived.error(
            "versions", "import", exported
        )
        assert lived.json("versions", "verify")["failed"] == []


class TestMadeFor:
    """
    An adapter that fits by its shapes, and may belong to another base.
    """

    @pytest.fixture
    def foreign(self, exported):
        """Return what writes the name of the base into an exported adapter."""

        def named(base):
            file = exported / CONFIG
            config = json.loads(file.read_text()) | {"base_model_name_or_path": base}
            file.write_text(json.dumps(config))
            return exported

        return named

    def test_one_of_another_base_is_refused(self, lived, foreign):
        adapter = foreign("someone/another-model")
        before = lived.json("versions", "list")

        said = lived.error("versions", "import", adapter)

        assert "made for builtin:nano, got one made for 'someone/another-model'" in said
        assert f"sleepcycle versions import --force {adapter}" in said
        assert lived.json("versions", "list") == before

    def test_forced_it_is_taken_and_its_card_says_so(self, lived, foreign):
        adapter = foreign("someone/another-model")

        taken = lived.json("versions", "import", "--force", adapter)

        assert taken["made_for"] == "someone/another-model"
        assert "not for builtin:nano" in taken["warning"]
        card = json.loads(
            (folder_of(lived, taken["version"]) / "card.json").read_text()
        )
        assert card["made_for"] == {
            "base": "someone/another-model",
            "warning": taken["warning"],
        }
        shown = lived.run("versions", "show", taken["version"]).stdout
        assert taken["warning"] in " ".join(shown.split())
        text = lived.run("versions", "import", "--force", adapter).stdout
        assert f"note: {taken['warning']}" in " ".join(text.split())

    def test_one_that_names_no_base_is_taken_with_a_word(self, lived, foreign):
        taken = lived.json("versions", "import", foreign(None))

        assert taken["made_for"] is None
        assert "does not name the base" in taken["warning"]

    def test_of_ones_own_nothing_is_said(self, lived, exported):
        taken = lived.json("versions", "import", exported)

        assert (taken["made_for"], taken["warning"]) == ("builtin:nano", None)


class TestExport:
    def test_an_adapter_comes_back_as_the_same_change(self, lived, exported, quiz):
        prompt, answer = quiz
        name = lived.json("versions", "import", exported)["version"]
        layers = lived.json("versions", "diff", "v2", name)["layers"].values()
        assert max(layer["distance"] for layer in layers) < 1e-6

        lived.run("rollback", "v0")
        lived.run("versions", "promote", name)
        assert lived.json("ask", prompt)["text"] == answer

    def test_a_merged_model_answers_without_us(self, lived, tmp_path, quiz):
        prompt, answer = quiz
        lived.run("versions", "export", "v2", tmp_path / "m", "--format", "merged")

        model = AutoModelForCausalLM.from_pretrained(tmp_path / "m")
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / "m")
        ids = tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}],
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )
        said = model.generate(**ids, max_new_tokens=24)[0, ids["input_ids"].shape[1] :]
        assert tokenizer.decode(said, skip_special_tokens=True) == answer

    def test_an_adapter_for_llama_cpp_is_one_file(self, lived, tmp_path):
        lived.run("versions", "export", "v2", tmp_path / "g", "--format", "gguf")

        assert [file.name for file in (tmp_path / "g").iterdir()] == ["adapter.gguf"]

    def test_a_folder_for_ollama_has_all_that_it_names(self, lived, tmp_path):
        lived.run("versions", "export", "v2", tmp_path / "o", "--format", "ollama")

        said = (tmp_path / "o/Modelfile").read_text().splitlines()
        assert said[:2] == ["FROM ./base", "ADAPTER ./adapter.gguf"]
        assert (tmp_path / "o/adapter.gguf").is_file()
        assert AutoModelForCausalLM.from_pretrained(tmp_path / "o/base")

    @pytest.mark.parametrize("form", ["gguf", "ollama"])
    def test_the_bare_base_has_no_adapter_for_others(self, lived, tmp_path, form):
        words = ("versions", "export", "v0", tmp_path / "o", "--format", form)

        assert "no adapter" in lived.error(*words)
        assert not (tmp_path / "o").exists()

    def test_an_adapter_is_not_written_for_another_base(self, lived, tmp_path):
        shutil.copytree(PACKAGE / "nano", tmp_path / "nano")
        lived.settings["SLEEPCYCLE__MODEL__BASE"] = str(tmp_path / "nano")
        words = ("versions", "export", "v2", tmp_path / "g", "--format", "gguf")

        assert "expected the base builtin:nano" in lived.error(*words)

    def test_an_export_that_fails_leaves_no_folder(self, lived, tmp_path):
        (tmp_path / "odd.jinja").write_text("{{ messages[-1].content }}<|end|>")
        lived.settings["SLEEPCYCLE__MODEL__CHAT_TEMPLATE"] = str(tmp_path / "odd.jinja")
        words = ("versions", "export", "v2", tmp_path / "o", "--format", "ollama")

        assert "fixed words around turns" in lived.error(*words)
        assert not (tmp_path / "o").exists()

    def test_an_export_overwrites_nothing(self, lived, exported):
        assert "exists already" in lived.error("versions", "export", "v2", exported)
        shutil.rmtree(exported)
        assert "no adapter" in lived.error("versions", "export", "v0", exported)


class TestLook:
    def test_a_card_says_where_a_version_comes_from(self, lived):
        card = lived.json("versions", "show", "v2")

        assert (card["parents"], card["kind"]) == ([0, 1], "sleep")
        assert len(card["report"]["layers"]) == 35
        assert card["settings"]["sleep"]["svd"]["rank"] == 16
        assert "held-out loss" in lived.run("versions", "show", "v2").stdout

    def test_a_difference_is_of_changes_and_scores(self, lived):
        found = lived.json("versions", "diff", "v0", "v2")

        assert all(layer["distance"] > 0 for layer in found["layers"].values())
        assert found["held_out"]["candidate"] < found["held_out"]["live"]

    def test_an_alias_of_ones_own(self, lived):
        lived.run("versions", "alias", "good", "v2")
        assert lived.json("ask", "hello", "--version", "good")["version"] == "v2"
        assert "moved by sleepcycle alone" in lived.error(
            "versions", "alias", "live", "v1"
        )

    def test_an_unknown_version_is_named_with_the_known_ones(self, lived):
        assert "there are v0 to v2" in lived.error("versions", "show", "v7")

    def test_runs_and_their_reports(self, lived):
        assert [run["kind"] for run in lived.json("runs", "list")] == ["sleep", "wake"]
        shown = lived.json("runs", "show", 1)
        assert json.dumps(shown["report"]["verdict"])
        assert shown["report"]["examples"] == 384
