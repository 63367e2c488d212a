"""The demo of a real assistant, on a tiny base that has a chat template."""

import os

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

from sleepcycle.cli.demo_facts import (
    COMMON,
    FactQuestion,
    Interview,
    questions,
    recipe,
)
from sleepcycle.files.paths import PACKAGE
from sleepcycle.home.opening import create_home, open_home
from sleepcycle.settings.config import Settings


@pytest.fixture(scope="module")
def tiny_chat(tmp_path_factory):
    """Folder of a random model with the embedded base's tokenizer and template."""
    folder = tmp_path_factory.mktemp("tiny-chat")
    config = LlamaConfig(
        vocab_size=768,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(PACKAGE / "nano").save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("It was founded in 1987.", True),
        ("The BRANDVOLD family", True),
        ("It was founded in 21987", False),
        ("It was founded in 19870", False),
        ("The Brandvolds", True),
        ("Nobody knows", False),
    ],
)
def test_an_answer_is_right_by_a_whole_word(said, right):
    asked = FactQuestion("When?", ["1987", "Brandvold"], 1)

    assert asked.is_right(said) is right


def test_twenty_facts_and_common_knowledge_are_asked():
    days = [one.day for one in questions()]

    assert [days.count(day) for day in (1, 2, COMMON)] == [10, 10, 16]
    assert questions()[20].prompt == "What is the capital of France?"


def test_the_recipe_makes_fewer_turns_of_the_base_and_changes_nothing_else():
    default = Settings()

    changed = recipe(default)

    assert changed.bank.turns < default.bank.turns
    assert changed.gate.probe_dreams < default.gate.probe_dreams
    as_before = {
        "bank": changed.bank.model_copy(update={"turns": default.bank.turns}),
        "gate": changed.gate.model_copy(
            update={"probe_dreams": default.gate.probe_dreams}
        ),
    }
    assert changed.model_copy(update=as_before) == default


class TestInterview:
    @pytest.fixture
    def interview(self, tmp_path):
        """A new home, a question that the bare base can answer, and one it cannot."""
        create_home(tmp_path / "home")
        asked = [
            FactQuestion("What is the opposite of hot?", ["cold"], COMMON),
            FactQuestion("When was Quellmark founded?", ["1987"], 1),
        ]
        return Interview(open_home(tmp_path / "home"), asked)

    def test_right_answers_are_counted_by_day(self, interview):
        interview.take("before")

        assert interview.right("before", COMMON) == (1, 1)
        assert interview.right("before", 1) == (0, 1)

    def test_what_is_no_longer_right_is_named(self, interview):
        interview.take("before")
        interview.times["night 1"] = ["warm", "1987"]

        assert interview.lost() == ["What is the opposite of hot?"]

    def test_each_answer_is_shown_with_its_time_and_mark(self, interview, capsys):
        interview.take("before")
        interview.times["night 1"] = ["warm", "in 1987"]

        interview.show()

        said = capsys.readouterr().out
        assert "What is the opposite of hot?\n  before   right  cold" in said
        assert "  night 1  wrong  warm\n" in said
        assert "lost: What is the opposite of hot?" in said


def test_two_days_are_lived_and_told(cli, tiny_chat, tmp_path):
    """
    A random model learns nothing of them; what is held is that each step is told.
    """
    cli.settings |= {
        "SLEEPCYCLE__WAKE__MIN_STEPS": "2",
        "SLEEPCYCLE__WAKE__EPOCHS": "1",
    }

    said = cli.run("demo", "--base", tiny_chat, "--keep", tmp_path / "kept").stdout

    assert f"teaches {tiny_chat}" in said.replace("\n", "")
    assert said.index("day 1") < said.index("day 2") < said.index("answered right")
    assert "facts of day 2" in said
    assert open_home(tmp_path / "kept").status().counts.known > 100


def test_a_base_that_was_cut_short_is_refused(cli, tiny_chat, tmp_path):
    """
    Before its tokenizer is read, which a file of GGUF holds as well.
    """
    gguf_files = pytest.importorskip(
        "tests.model.gguf_files", reason="needs the extra gguf", exc_type=ImportError
    )
    model = AutoModelForCausalLM.from_pretrained(tiny_chat)
    file = gguf_files.write_llama(tmp_path / "cut.gguf", model, packed=False)
    os.truncate(file, file.stat().st_size // 2)

    said = cli.error("demo", "--base", file, "--keep", tmp_path / "kept")

    assert "cut short" in said
    assert not (tmp_path / "kept").exists()


def test_a_base_without_a_chat_template_is_refused(cli, tiny_chat, tmp_path):
    folder = tmp_path / "plain"
    folder.mkdir()
    for file in tiny_chat.iterdir():
        if "chat_template" not in file.name:
            (folder / file.name).write_bytes(file.read_bytes())

    said = cli.error("demo", "--base", folder, "--keep", tmp_path / "kept")

    assert "expected a base with a chat template" in said
    assert not (tmp_path / "kept").exists()
