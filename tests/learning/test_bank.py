"""The base's own turns: made once, remembered, and what they keep of it."""

from dataclasses import replace

import pytest
import torch

from sleepcycle.files.dream_archive import key, normalised
from sleepcycle.learning import wake
from sleepcycle.learning.bank import MEMORY, Bank
from sleepcycle.learning.beginnings import first_words, likely
from sleepcycle.learning.distillation import as_heavy
from sleepcycle.model import adapters
from sleepcycle.model.drift import drifts
from sleepcycle.model.encode import Encoded, encode_all
from sleepcycle.model.score import teach
from sleepcycle.records.content import Completion, Conversation, Message, Role, Text
from sleepcycle.records.example import Example
from sleepcycle.records.progress import ignore_progress
from sleepcycle.settings.config import BankSettings, WakeSettings
from tests.model.conftest import load as load
from tests.model.conftest import nano as nano
from tests.model.conftest import plain_nano as plain_nano
from tests.model.conftest import random_changes as random_changes

SETTINGS = BankSettings(turns=24, max_tokens=32)
LESSON = [
    Completion(f"Who keeps lamp {number}?", f"Orla {number % 5}")
    for number in range(24)
]

SHORTENING = (
    "{% for m in messages %}{{ m.role }}: {{ m.content | replace('words', '') }}\n"
    "{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
)
"""Renders what a user says, but not always as it was said."""


@pytest.fixture
def bank(nano):
    """The bank of the base that ships."""
    return Bank(nano, SETTINGS)


def contents(bank, count):
    """Return what is learned, as ids."""
    return [turn.encoded.ids for turn in bank.learned(count, 0)]


def replace_settings(**changes):
    """Return the settings with some changed."""
    return SETTINGS.model_copy(update=changes)


def learned_text(encoded, base):
    """Return the tokens of a sequence that are learned, as text."""
    pairs = zip(encoded.ids, encoded.weights, strict=True)
    return base.tokenizer.decode([id_ for id_, weight in pairs if weight])


def no_dreams(*_, **__):
    """Fail where anything is generated."""
    raise AssertionError("nothing was to be dreamt")


class TestTurns:
    def test_a_chat_model_asks_and_answers(self, bank):
        turns = bank.held_out(4)

        assert len(turns) == 4
        assert all(isinstance(turn, Completion) and turn.completion for turn in turns)

    def test_another_writes_texts(self, plain_nano):
        turns = Bank(plain_nano, SETTINGS).held_out(4)

        assert turns
        assert all(isinstance(turn, Text) for turn in turns)

    def test_what_is_held_out_is_never_learned(self, bank, nano):
        learned = set(contents(bank, 24))
        held_out = encode_all(bank.held_out(12), nano, prompt_weight=1)

        assert not learned & {one.ids for one in held_out}

    def test_no_text_is_both_either(self, plain_nano):
        bank = Bank(plain_nano, SETTINGS)
        held_out = {turn.text for turn in bank.held_out(12)}

        texts = {turn.encoded.ids for turn in bank.learned(24, 0)}

        assert held_out
        encoded = encode_all(bank.held_out(12), plain_nano, prompt_weight=1)
        assert not texts & {one.ids for one in encoded}

    def test_what_a_template_says_before_every_turn_is_not_learned(self, load):
        base = load("builtin:nano")
        base.tokenizer.chat_template = (
            "{{ 'You are kind.' }}" + base.tokenizer.chat_template
        )
        base = replace(base, identity=replace(base.identity, sha256="kind"))

        turns = Bank(base, SETTINGS).learned(4, 0)

        for turn in turns:
            assert turn.scores.tail.shape == (turn.encoded.learned,)
            assert "kind" not in learned_text(turn.encoded, base)

    def test_there_are_no_more_than_the_settings_say(self, nano):
        bank = Bank(nano, SETTINGS.model_copy(update={"turns": 3}))

        assert len(bank.learned(10, 0)) == 3

    def test_what_was_made_before_does_not_matter(self, nano, load):
        few = contents(Bank(nano, SETTINGS), 2)

        again = load("builtin:nano")
        (again.cache / MEMORY).unlink()
        whole = contents(Bank(again, SETTINGS), 24)

        assert len(whole) == 24
        assert contents(Bank(again, SETTINGS), 2) == few

    def test_none_asks_what_is_to_be_avoided(self, nano):
        whole = Bank(nano, SETTINGS).learned(24, 0)
        asked = normalised(prompt_of(nano, whole[0]))

        found = Bank(nano, SETTINGS, avoid=frozenset({asked})).learned(24, 0)

        assert len(found) == 23
        assert whole[0].encoded.ids not in ids(found)

    def test_seeds_draw_others(self, bank):
        first, other = ([one.encoded.ids for one in bank.learned(8, s)] for s in (0, 1))

        assert first != other

    def test_the_bare_base_speaks_and_judges(self, bank, nano, random_changes):
        """
        Whatever is active while the bank is made.
        """
        adapters.attach(nano, "live", random_changes(nano.targets, size=0.2))
        adapters.activate(nano, ["live"])
        turns = bank.learned(4, 0)

        adapters.activate(nano, [])
        own = teach(nano, [turn.encoded for turn in turns], SETTINGS.top_k)
        for turn, scores in zip(turns, own, strict=True):
            torch.testing.assert_close(turn.scores.logs, scores.logs)
            assert turn.gold == 0


class TestMemory:
    def test_it_is_made_once(self, nano, monkeypatch):
        first = Bank(nano, SETTINGS)
        learned, held_out = contents(first, 8), first.held_out(4)
        scores = [turn.scores for turn in first.learned(8, 0)]
        monkeypatch.setattr("sleepcycle.learning.bank.dream", no_dreams)
        monkeypatch.setattr("sleepcycle.learning.bank.teach", no_dreams)

        again = Bank(nano, SETTINGS)

        assert contents(again, 8) == learned
        assert again.held_out(4) == held_out
        for turn, expected in zip(again.learned(8, 0), scores, strict=True):
            assert torch.equal(turn.scores.ids, expected.ids)
            assert torch.equal(turn.scores.logs, expected.logs)
            assert torch.equal(turn.scores.tail, expected.tail)

    @pytest.mark.parametrize("left", [0, 1000])
    def test_a_damaged_one_is_made_anew(self, nano, left):
        whole = contents(Bank(nano, SETTINGS), 4)
        memory = nano.cache / MEMORY
        memory.write_bytes(memory.read_bytes()[:left])

        assert contents(Bank(nano, SETTINGS), 4) == whole

    def test_another_base_has_another(self, nano, load):
        own = Bank(nano, SETTINGS).held_out(4)
        other = load("builtin:nano")
        other = replace(other, identity=replace(other.identity, sha256="other"))

        made = []
        Bank(other, SETTINGS, on_progress=made.append).held_out(4)

        assert own
        assert any(step.stage == "bank" for step in made)


def test_turns_weigh_as_much_as_others(bank):
    """
    However many tokens they have.
    """
    turns = bank.learned(6, 0)
    short = [Encoded((1, 2, 3), (0.0, 0.0, 1.0)), Encoded((1, 2, 3), (0.0, 1.0, 1.0))]

    found = as_heavy(turns, short, 3)

    whole = sum(sum(turn.encoded.weights[1:]) for turn in found)
    assert whole == pytest.approx(6 * 3 * 1.5)


class TestNear:
    def test_they_begin_as_others_do(self, bank, nano):
        contents = [Completion("Which town grows the blue lamps?", "Orla")]

        found = bank.near(contents, 12, 3, set())

        asked = [nano.tokenizer.decode(turn.encoded.ids) for turn in found]
        assert asked
        assert all("Which" in one for one in asked)
        assert all(turn.scores is not None for turn in found)

    def test_the_same_seed_makes_the_same(self, bank):
        first, again, other = (bank.near(LESSON, 8, s, set()) for s in (1, 1, 2))

        assert ids(first) == ids(again) != ids(other)

    def test_none_asks_what_is_to_be_avoided(self, nano):
        """
        The base would answer it in its own way.
        """
        free = Bank(nano, SETTINGS).near(LESSON, 24, 0, set())
        asked_first = [Completion(prompt_of(nano, free[0]), "")]

        found = Bank(nano, SETTINGS).near(LESSON, 24, 0, set(map(key, asked_first)))

        assert prompt_of(nano, free[0]) not in {prompt_of(nano, one) for one in found}
        assert found

    def test_none_asks_what_the_bank_holds_out(self, nano):
        bank = Bank(nano, SETTINGS)
        held_out = bank.held_out(12)

        found = bank.near(held_out, 24, 0, set())

        assert not set(ids(found)) & {
            one.ids for one in encode_all(held_out, nano, prompt_weight=1)
        }

    def test_a_run_goes_on_with_those_that_it_made(self, nano, tmp_path, monkeypatch):
        memory = tmp_path / "near.json"
        made = Bank(nano, SETTINGS, near_memory=memory).near(LESSON, 8, 1, set())
        monkeypatch.setattr("sleepcycle.learning.bank.dream", no_dreams)

        again = Bank(nano, SETTINGS, near_memory=memory).near(LESSON, 8, 1, set())

        assert made
        assert ids(again) == ids(made)

    def test_of_nothing_there_is_none(self, bank):
        assert bank.near([], 8, 0, set()) == []
        assert bank.near([Completion("One", "word")], 8, 0, set()) == []

    def test_more_are_begun_until_nearly_all_that_are_wanted_came(self, nano):
        rounds = []
        bank = Bank(nano, SETTINGS, on_progress=rounds.append)

        first = bank.near(LESSON, 8, 1, set())
        enough = [one.step for one in rounds if one.stage == "bank"]
        rounds.clear()
        asked_first = {normalised(prompt_of(nano, turn)) for turn in first}
        bank.near(LESSON, 8, 1, asked_first)
        too_few = [one.step for one in rounds if one.stage == "bank"]

        assert enough == [0]
        assert len(too_few) > 1

    def test_a_long_word_is_cut(self, bank):
        """
        Whatever is fed, a wake finds room to go on from it.
        """
        long = [Completion("a" * 9_000 + " b", "c"), Completion("Who asks?", "d")]

        assert bank.near(long, 8, 0, set())


def prompt_of(base, turn):
    """Return what a turn asks."""
    text = base.tokenizer.decode(turn.encoded.ids)
    return text.partition("<|user|>")[2].partition("<|end|>")[0]


def ids(turns):
    """Return the ids of turns."""
    return [turn.encoded.ids for turn in turns]


class TestQuestionWords:
    def test_words_that_the_base_would_not_begin_with_are_left_out(self, nano):
        assert likely(nano, ["What", "Quoz", "Which"]) == ["What", "Which"]

    def test_a_base_that_answers_nobody_asks_nothing(self, plain_nano):
        assert likely(plain_nano, ["What"]) == []

    def test_half_of_the_turns_begun_are_questions(self, nano):
        bank = Bank(nano, replace_settings(question_words=["What"]))

        asked = [turn.prompt for turn in bank.held_out(12)]

        assert 6 <= sum(prompt.startswith("What") for prompt in asked) < 12


def test_beginnings_are_the_first_words_of_a_user():
    system = Message(Role.SYSTEM, "You are kind.")
    said = Message(Role.USER, "Who sings?"), Message(Role.ASSISTANT, "I do.")
    contents = [
        Text("A long tale of lamps"),
        Conversation((system, *said)),
        Conversation((said[1], *said)),
        Completion("Where to?", "Orla"),
    ]

    found = set(first_words(contents, 200, seed=0))

    assert found == {"A", "A long", "A long tale", "A long tale of", "Who", "Where"}


class TestWake:
    def learned(self, base, share):
        """Learn the lesson; return the change, and the report."""
        examples = [Example(i, 1, one) for i, one in enumerate(LESSON)]
        settings = WakeSettings(
            min_steps=40, max_steps=40, general_share=share, patience=0, rank=4
        )
        return wake.learn(
            base,
            wake.WakeStart({}, {}),
            wake.Lesson(examples, [], [], []),
            settings,
            seed=1,
            on_progress=ignore_progress,
            bank=Bank(base, SETTINGS),
        )

    def drift(self, base, change):
        """Return how far a change moves the base, in nats a token."""
        held_out = Bank(base, SETTINGS).held_out(16)
        probes = encode_all(held_out, base, prompt_weight=1)
        with adapters.on_base(base, {"day": change}):
            nats, tokens = drifts(base, probes, [["day"]])
        return nats[0] / tokens

    def test_without_a_turn_the_lesson_is_learned_alone(self, nano):
        examples = [Example(i, 1, one) for i, one in enumerate(LESSON)]
        settings = WakeSettings(
            min_steps=4, max_steps=4, general_share=0.25, patience=0, rank=4
        )

        _, report = wake.learn(
            nano,
            wake.WakeStart({}, {}),
            wake.Lesson(examples, [], [], []),
            settings,
            seed=1,
            on_progress=ignore_progress,
            bank=Bank(nano, BankSettings(turns=0)),
        )

        assert (report.steps, report.general) == (4, 0)

    def test_by_itself_a_large_base_is_held(self, nano, monkeypatch):
        monkeypatch.setattr(nano.model, "num_parameters", lambda: 135_000_000)

        _, report = self.learned(nano, "auto")

        assert report.general > 24  # those of the bank, and near ones

    def test_by_itself_one_that_begins_no_turn_is_not(self, nano, monkeypatch):
        monkeypatch.setattr(nano.model, "num_parameters", lambda: 135_000_000)
        monkeypatch.setattr(nano.tokenizer, "chat_template", SHORTENING)

        _, report = self.learned(nano, "auto")

        assert report.general == 0

    def test_the_base_moves_less(self, nano):
        without, report = self.learned(nano, 0.0)
        kept, beside = self.learned(nano, 0.25)

        assert self.drift(nano, kept) < 0.5 * self.drift(nano, without)
        assert report.general == 0
        assert beside.general > 24  # those of the bank, and near ones
        assert beside.loss_last < 0.5 * beside.loss_first
