import json
import os
import shutil
import sys

import pytest

from sleepcycle.doctor.inspection import Level, is_held
from sleepcycle.files import process_identity
from sleepcycle.home.access_token import token_of
from sleepcycle.home.scoped_tokens import TokenScope, new_token
from sleepcycle.records.run_order import RunKind
from sleepcycle.store import run_table
from tests.doctor.examined import (
    NANO,
    holding,
    look,
    raw,
    remember,
    serve,
    set_up,
    worst,
)


class TestLock:
    def test_it_is_free(self, home):
        assert not is_held(home.paths)
        assert look(home)["lock"].message == "nobody holds the home"

    def test_a_service_that_answers_holds_it(self, home):
        pid = os.getpid()
        serve(home, pid, process_identity.started(pid))
        with holding(home.paths.lock):
            found = look(home, answers=True)["lock"]

        assert found.level is Level.OK
        assert f"process {pid}, and answers" in found.message

    def test_a_service_that_does_not_answer_fails(self, home):
        pid = os.getpid()
        serve(home, pid, process_identity.started(pid))
        with holding(home.paths.lock):
            found = look(home, answers=False)["lock"]

        assert found.level is Level.FAIL
        assert "does not answer" in found.message

    def test_a_run_by_hand_is_named(self, home):
        pid = os.getpid()
        with home.store.write() as session:
            run_table.start(session, RunKind.SLEEP, pid, process_identity.started(pid))
        with holding(home.paths.lock):
            found = look(home)["lock"]

        assert found.level is Level.OK
        assert (
            found.message == f"process {pid} holds the home, and runs a sleep by hand"
        )

    @pytest.mark.parametrize("text", ["", "{}", '{"pid": 1, "started": "then"}'])
    def test_a_holder_that_says_nothing_is_worth_a_look(self, home, text):
        home.paths.daemon.write_text(text)
        with holding(home.paths.lock):
            found = look(home)["lock"]

        assert found.level is Level.WARN
        assert "fuser" in found.fix

    def test_a_service_that_was_killed_leaves_the_home_free(self, home):
        serve(home, os.getpid(), "an earlier process")

        found = look(home)["lock"]

        assert found.level is Level.OK
        assert "was ended" in found.message


class TestPermissions:
    @pytest.mark.parametrize(
        ("mode", "level"),
        [(0o700, Level.OK), (0o755, Level.WARN), (0o770, Level.FAIL)],
    )
    def test_the_home_is_its_owners_alone(self, home, mode, level):
        home.paths.root.chmod(mode)

        assert look(home)["home"].level is level

    @pytest.mark.parametrize(("mode", "level"), [(0o600, "ok"), (0o640, "fail")])
    def test_the_token_is_its_owners_alone(self, home, mode, level):
        token = token_of(home.paths)
        home.paths.token.chmod(mode)

        found = look(home)["token"]

        assert found.level == level
        assert token not in found.message

    @pytest.mark.parametrize("text", [b"", b"a", b"\xff\xfe"])
    def test_a_token_that_the_service_refuses_fails(self, home, text):
        home.paths.token.write_bytes(text)

        found = look(home)["token"]

        assert found.level is Level.FAIL
        assert found.fix.startswith("rm ")

    def test_a_token_that_leads_nowhere_fails(self, home):
        home.paths.token.symlink_to("/nowhere")

        assert "got: a link" in look(home)["token"].message

    def test_tokens_of_other_programs_are_counted(self, home):
        token, _ = new_token(home.paths, (TokenScope.TALK,))

        found = look(home)["tokens"]

        assert (found.level, found.message) == (
            Level.OK,
            "tokens of other programs: 1",
        )
        assert token not in found.message

    def test_tokens_that_cannot_be_read_fail(self, home):
        home.paths.tokens.write_text("{")

        found = look(home)["tokens"]

        assert found.level is Level.FAIL
        assert found.fix.startswith("rm ")

    def test_an_inbox_that_is_a_file_fails(self, home):
        shutil.rmtree(home.paths.inbox, ignore_errors=True)
        home.paths.inbox.write_text("")

        assert worst(look(home)) == ["inbox"]

    def test_what_is_not_fed_is_named_with_what_to_do(self, home):
        (home.paths.inbox / "july").mkdir(parents=True)
        failed = home.paths.inbox / "failed"
        failed.mkdir()
        (failed / "a.jsonl").write_text("secret")
        (failed / "a.jsonl.report.json").write_text('{"error": "got secret"}')

        found = look(home)["inbox"]

        assert found.level is Level.WARN
        assert "'july' (it is a folder); 'failed/a.jsonl' (it was refused)" in (
            found.message
        )
        assert "move its files up" in found.fix
        assert "secret" not in found.message


class TestSettings:
    def test_an_unknown_one_fails(self, home):
        home.paths.config.write_text("[wake]\nrnk = 3\n")

        found = look(home)

        assert worst(found) == ["settings"]
        assert "did you mean wake.rank?" in found["settings"].message

    def test_a_curriculum_is_read(self, home):
        home.paths.config.write_text('[wake]\ncurriculum = "four_phases"\n')

        found = look(home)["curriculum"]

        assert found.level is Level.OK
        assert found.message.startswith("the curriculum can be read: foundation, ")

    def test_a_curriculum_that_is_missing_or_wrong_fails(self, home):
        home.paths.config.write_text('[wake]\ncurriculum = "own.toml"\n')
        missing = look(home)
        (home.paths.root / "own.toml").write_text('name = "own"\nphase = []\n')
        wrong = look(home)

        assert worst(missing) == worst(wrong) == ["curriculum"]
        assert "expected a curriculum in" in missing["curriculum"].message
        assert "did you mean phases?" in wrong["curriculum"].message
        assert "wake.curriculum" in wrong["curriculum"].fix

    def test_anchors_are_read(self, home):
        home.paths.config.write_text('[gate]\nanchors = "own.txt"\n')
        (home.paths.root / "own.txt").write_text("Q: Who?\nA: Ana\n")

        found = look(home)["anchors"]

        assert (found.level, found.message) == (Level.OK, "the anchors can be read: 1")

    def test_anchors_that_are_too_long_are_named_by_their_lines(self, home):
        """
        One whose answer cannot be learned, and one whose prompt cannot be asked.
        """
        home.paths.config.write_text('[gate]\nanchors = "own.txt"\n')
        rows = [("Who?", "Ana"), ("Why?", "cats " * 600), ("cats " * 600, "Ana")]
        text = "".join(f"Q: {asked}\nA: {said}\n" for asked, said in rows)
        (home.paths.root / "own.txt").write_text(text)

        found = look(home)["anchors"]

        assert found.level is Level.WARN
        assert found.message.endswith("3; too long to be learned or asked: 2")
        assert "begin in line 3, 5, or raise model.max_length" in found.fix

    def test_anchors_beyond_what_a_gate_asks_are_told(self, home):
        home.paths.config.write_text('[gate]\nanchors = "own.txt"\nmax_asked = 1\n')
        (home.paths.root / "own.txt").write_text("Q: Who?\nA: Ana\n" * 2)

        found = look(home)["anchors"]

        assert (found.level, found.message[-37:]) == (
            Level.WARN,
            "2; a gate asks 1 of them, evenly spaced"[-37:],
        )
        assert found.fix.startswith("raise gate.max_asked")

    def test_anchors_that_are_missing_or_wrong_fail(self, home):
        home.paths.config.write_text('[gate]\nanchors = "own.txt"\n')
        missing = look(home)
        (home.paths.root / "own.txt").write_text("Who?\n")
        wrong = look(home)

        assert worst(missing) == worst(wrong) == ["anchors"]
        assert "got: [Errno 2] No such file" in missing["anchors"].message
        assert "in line 1" in wrong["anchors"].message
        assert "gate.anchors" in wrong["anchors"].fix

    def test_without_one_there_is_nothing_to_look_at(self, home):
        assert "curriculum" not in look(home)

    def test_a_file_that_is_gone_fails(self, home):
        home.paths.config.unlink()

        assert worst(look(home)) == ["settings"]


class TestBase:
    @pytest.fixture
    def copy(self, home, tmp_path):
        """A home whose base is a folder, and that folder."""
        shutil.copytree(NANO, tmp_path / "model")
        set_up(home, base=tmp_path / "model")
        with raw(home) as database:
            database.execute(
                "UPDATE version SET base_id = ?", (str(tmp_path / "model"),)
            )
        return tmp_path / "model"

    def test_a_folder_is_found(self, home, copy):
        assert "with 1.7 M parameters" in look(home)["base"].message

    def test_what_adapters_do_not_reach_of_a_mixture_is_said(self, home, copy):
        config = json.loads((copy / "config.json").read_text())
        mixture = {"model_type": "mixtral", "num_local_experts": 4}
        (copy / "config.json").write_text(json.dumps(config | mixture))

        found = look(home)["base"]

        assert found.level is Level.OK
        assert "M parameters; adapters sit on k_proj, o_proj, q_proj" in found.message

    def test_layers_that_cannot_be_computed_twice_as_is_set_fail(self, home, copy):
        config = json.loads((copy / "config.json").read_text())
        (copy / "config.json").write_text(json.dumps(config | {"model_type": "ctrl"}))
        set_up(home, base=copy, gradient_checkpointing="on")

        found = look(home)["base"]

        assert found.level is Level.FAIL
        assert "(ctrl) cannot compute layers twice" in found.message
        assert found.fix == 'set it to "auto"'

    def test_a_library_for_4_bits_that_is_not_here_fails(self, home, copy, monkeypatch):
        monkeypatch.setitem(sys.modules, "bitsandbytes", None)
        set_up(home, base=copy, quantization="nf4")

        found = look(home)["base"]

        assert found.level is Level.FAIL
        assert "bitsandbytes" in found.message
        assert found.fix.startswith("install it: pip install 'sleepcycle[4bit]'")

    @pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
    def test_a_missing_file_fails_once(self, home, copy, name):
        (copy / name).unlink()

        found = look(home)

        assert worst(found) == ["base"]
        assert name.removeprefix("model") in found["base"].message

    def test_weights_that_were_cut_short_fail(self, home, copy):
        weights = copy / "model.safetensors"
        os.truncate(weights, weights.stat().st_size - 1)

        assert "cut short" in look(home)["base"].message

    def test_a_missing_shard_fails(self, home, copy):
        index = {"weight_map": {"a": "model-2.safetensors"}}
        (copy / "model.safetensors.index.json").write_text(json.dumps(index))

        assert "expected model-2.safetensors" in look(home)["base"].message

    def test_a_hub_id_that_is_not_cached_fails(self, home, monkeypatch, tmp_path):
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
        set_up(home, base="nobody/nothing")

        found = look(home)["base"]

        assert found.level is Level.FAIL
        assert found.fix == "hf download nobody/nothing"

    def test_a_model_of_ollama_that_is_gone_fails(self, home, monkeypatch, tmp_path):
        monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path))
        set_up(home, base="ollama:nosuch:1b")

        found = look(home)["base"]

        assert found.level is Level.FAIL
        assert found.fix == "ollama pull nosuch:1b"

    def test_another_base_than_the_versions_belong_to_fails(self, home, copy):
        set_up(home, base="builtin:nano")

        found = look(home)["base"]

        assert found.level is Level.FAIL
        assert "set model.base back" in found.fix

    def test_another_hash_than_the_database_has_fails(self, home):
        remember(home, "b" * 64)
        with raw(home) as database:
            database.execute("UPDATE version SET base_sha256 = ?", ("a" * 64,))

        found = look(home)["base"]

        assert found.level is Level.FAIL
        assert "bbbb" in found.message

    def test_the_recorded_hash_is_compared(self, home):
        remember(home, "a" * 64)
        with raw(home) as database:
            database.execute("UPDATE version SET base_sha256 = ?", ("a" * 64,))

        assert look(home)["base"].message.endswith("hash that its versions belong to")
