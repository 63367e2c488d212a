"""Long text in windows: each token is learned once, and windows end at breaks."""

import re
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from sleepcycle.files.paths import PACKAGE
from sleepcycle.model import token_ids
from sleepcycle.model.base import TextBase
from sleepcycle.model.encode import encode
from sleepcycle.model.text_windows import LEAST, split_text
from sleepcycle.records.content import Text

NANO = AutoTokenizer.from_pretrained(PACKAGE / "nano")
PIECES = ["a grey heron.", "river", " ", "\n", "\n\n", "! ", "猫", "🜂", "é", "<|end|>"]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=60).map("".join) | st.text()


@dataclass(frozen=True)
class Slow:
    """A tokenizer without offsets, as those in Python are."""

    is_fast: bool = False
    all_special_tokens: tuple[str, ...] = ()

    @property
    def added_tokens_decoder(self):
        return {}

    def __call__(self, text, **options):
        assert "return_offsets_mapping" not in options
        return {"input_ids": [ord(letter) for letter in text]}


def new_of(windows) -> list[int]:
    """Return what the windows learn, one after another."""
    return [token for one in windows for token in one.ids[one.context :]]


def texts(windows) -> list[str]:
    """Return the text of each window that it does not repeat."""
    return [NANO.decode(one.ids[one.context :]) for one in windows]


@given(TEXTS, st.integers(1, 40), st.integers(0, 60))
@example("", 1, 0)
@example("word" * 200, 8, 4)
def test_windows_are_bounded_and_learn_each_token_once(text, size, overlap):
    windows = split_text(NANO, text, size, overlap)

    assert new_of(windows) == token_ids.plain(NANO, text)
    assert all(len(one.ids) <= size for one in windows)
    assert all(one.context < max(len(one.ids), 1) for one in windows)


@given(TEXTS, st.integers(1, 40), st.integers(0, 60))
def test_a_window_repeats_the_end_of_the_one_before(text, size, overlap):
    windows = split_text(NANO, text, size, overlap)
    done: list[int] = []

    for one in windows:
        assert one.context <= min(overlap, size // 4)
        assert list(one.ids[: one.context]) == done[len(done) - one.context :]
        done += one.ids[one.context :]


@given(TEXTS, st.integers(4, 40), st.integers(0, 60))
def test_all_windows_but_the_last_are_filled_to_their_least(text, size, overlap):
    windows = split_text(NANO, text, size, overlap)

    assert all(len(one.ids) > size * LEAST for one in windows[:-1])


@pytest.mark.parametrize(
    ("join", "ends"),
    [
        ("\n\n", r"\n\n$"),
        ("\n", r"\n$"),
        (". ", r"\.\s?$"),
        (" ", r"(\s|\w)$"),
    ],
)
def test_a_window_ends_at_the_best_break_that_there_is(join, ends):
    text = join.join(["heron river mill"] * 60) if join != " " else "heron " * 200

    *windows, _ = texts(split_text(NANO, text, 50, 0))

    assert len(windows) > 3
    assert all(re.search(ends, one) for one in windows), windows


def test_a_paragraph_longer_than_a_window_is_cut_between_words():
    text = "heron " * 500

    windows = texts(split_text(NANO, text, 33, 0))

    assert "".join(windows) == text
    assert {word for one in windows for word in one.split()} == {"heron"}


@pytest.mark.parametrize("between", [" ", "\n\n", ""])
def test_no_window_begins_within_a_letter(between):
    """
    Tokens of one letter share its place; a window may begin with the first alone.
    """
    text = between.join(["🜂🜂🜂"] * 60)

    windows = split_text(NANO, text, 64, 0)

    assert all("\ufffd" not in one for one in texts(windows))


def test_text_without_any_break_is_cut_at_its_bound():
    windows = split_text(NANO, "x" * 500, 32, 0)

    assert {len(one.ids) for one in windows[:-1]} == {32}


def test_text_that_fits_is_one_window():
    [window] = split_text(NANO, "a heron", 2_000, 64)

    assert (list(window.ids), window.context) == (token_ids.plain(NANO, "a heron"), 0)


def test_empty_text_is_one_empty_window():
    [window] = split_text(NANO, "", 10, 4)

    assert (window.ids, window.context) == ((), 0)


@given(st.text(), st.integers(1, 20), st.integers(0, 20))
def test_a_tokenizer_without_offsets_cuts_at_the_bound(text, size, overlap):
    windows = split_text(Slow(), text, size, overlap)

    assert new_of(windows) == [ord(letter) for letter in text]
    assert all(len(one.ids) == size for one in windows[:-1])


@pytest.mark.parametrize(
    "text", [" " * 100_000, "\n" * 100_000, "a\n" * 50_000, "." * 100_000]
)
def test_white_space_and_marks_without_end_are_split_too(text):
    windows = split_text(NANO, text, 256, 64)

    assert new_of(windows) == token_ids.plain(NANO, text)


class TestEncoded:
    """The same as sequences with weights."""

    @given(TEXTS, st.integers(4, 60), st.integers(0, 60), st.sampled_from([1.0, 0.25]))
    def test_every_token_counts_once_by_its_weight(self, text, most, overlap, weight):
        base = TextBase(NANO, most, overlap, chat=False)

        encoded = encode(Text(text, weight), base, prompt_weight=0)

        ids = [
            token
            for one in encoded
            for token, counts in zip(one.ids, one.weights, strict=True)
            if counts
        ]
        assert ids == [*token_ids.plain(NANO, text), NANO.eos_token_id]
        assert {w for one in encoded for w in one.weights} <= {0.0, weight}
        assert all(len(one.ids) <= most for one in encoded)
