import json

import pytest

from sleepcycle.feed.keys import (
    BAD,
    HARMLESS,
    KEPT_BYTES,
    KEPT_KEYS,
    NAME_CHARS,
    REJECTED,
    RULES,
    TELLS_OF,
    UNSUPPORTED,
    kept_json,
    rule_of,
)
from sleepcycle.feed.shapes import Format
from tests.feed.rows import WHOLE, fault_of, read_as_fed

PAIR = WHOLE[Format.COMPLETION]
NOT_TO_LEARN = [
    "do_not_learn",
    "not_for_training",
    "dont_train",
    "no_train",
    "exclude_from_training",
    "invalid",
    "unapproved",
    "opt_out",
    "optOut",
    "eval_only",
    "holdout",
    "flagged",
    "toxic",
    "unsafe",
    "banned",
    "blocked",
    "drop",
    "remove",
    "removed",
    "thumbs_down",
    "is_not_good",
]
TO_LEARN = [
    "is_good",
    "good",
    "usable",
    "keep",
    "use",
    "accept",
    "accepted",
    "approved",
    "valid",
    "learned",
    "correct",
    "thumbs_up",
]
WORDS = sorted(set().union(*(rule.words for rule in RULES)))
FORMS = ("{}", "is_{}", "my-{}", "{}2", "the {}")


class TestRule:
    @pytest.mark.parametrize("word", WORDS)
    def test_a_word_is_found_in_any_form(self, word):
        forms = [form.format(word) for form in FORMS]
        forms += [word.upper(), word.title(), f"my{word.title()}", f"{word}Value"]

        assert [form for form in forms if rule_of(form) is None] == []

    @pytest.mark.parametrize(
        "key", ["lossmask", "rejectedresponse", "imagepath", "toolcalls", "islabel"]
    )
    def test_words_are_found_without_a_space_between_them(self, key):
        assert rule_of(key) is not None

    @pytest.mark.parametrize(
        "key", ["badge", "tooltip", "weightless", "labelled", "imagine", "systematic"]
    )
    def test_a_word_in_another_is_none(self, key):
        assert rule_of(key) is None

    @pytest.mark.parametrize("last", sorted(TELLS_OF))
    def test_a_key_that_tells_of_something_is_not_it(self, last):
        assert rule_of(f"document_{last}") is None
        assert rule_of(f"document{last.title()}") is None

    @pytest.mark.parametrize("key", ["image_url", "audioId", "video_source"])
    def test_a_picture_is_one_wherever_it_lies(self, key):
        assert rule_of(key) is not None

    @pytest.mark.parametrize("key", sorted(HARMLESS))
    def test_some_change_nothing(self, key):
        assert rule_of(key) is None
        assert rule_of(key.upper()) is None

    def test_a_huge_key_costs_little(self):
        assert rule_of("badbad" * 100_000) is None


class TestRow:
    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("loss_mask", [0, 1]),
            ("labels", [-100]),
            ("Rejected", "bad"),
            ("rejected_response", "bad"),
            ("chosen", "good"),
            ("skip", True),
            ("skip", [1]),
            ("is_masked", "yes"),
            ("include", False),
            ("trainable", "no"),
            ("is_correct", 0),
            ("accepted", False),
            ("image", "x.png"),
            ("imageUrl", "x.png"),
            ("thinking", "hm"),
            ("context", "about"),
            ("documents", ["about"]),
            ("choices", ["a", "b"]),
            ("chat_template", "{}"),
            ("Label", False),
        ],
    )
    def test_what_changes_the_meaning_is_refused_by_name(self, key, value):
        fault = fault_of({**PAIR, key: value})

        assert (fault.code, key in str(fault)) == (UNSUPPORTED, True)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            *[(key, True) for key in NOT_TO_LEARN],
            *[(key, False) for key in TO_LEARN],
            *[(key, -1) for key in ("rating", "score", "user_vote", "reward")],
            ("score", "-0.5"),
            *[("verdict", word) for word in sorted(BAD)],
            ("status", "Failed"),
            ("review", " wrong "),
            ("deleted_at", "2020-01-01"),
            ("excludedAt", 5),
            ("rejected_date", "2020-01-01"),
            ("not_excluded", False),
        ],
    )
    def test_what_says_that_it_is_not_to_be_learned_is_refused(self, key, value):
        fault = fault_of({**PAIR, key: value})

        assert (fault.code, repr(key) in str(fault)) == (UNSUPPORTED, True)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            *[(key, False) for key in NOT_TO_LEARN],
            *[(key, True) for key in TO_LEARN],
            ("score", 0.93),
            ("rating", 5),
            ("status", "done"),
            ("language", "en"),
            ("language_code", "en"),
            ("source", "forum"),
            ("date", "2020-01-01"),
            ("split", "train"),
            ("sentiment", "negative"),
            ("is_archived", True),
            ("use_cache", False),
            ("$schema", "v1"),
            ("table_name", "t"),
            ("note", "not bad"),
        ],
    )
    def test_what_only_tells_of_a_row_is_kept(self, key, value):
        assert read_as_fed({**PAIR, key: value}).provenance == {key: value}

    @pytest.mark.parametrize(
        "key",
        [
            "article",
            "story",
            "paragraph",
            "premise",
            "hypothesis",
            "evidence",
            "schema",
            "table",
            "code",
            "memory",
            "preamble",
            "sys",
            "preprompt",
            "character",
            "examples",
            "fewshot",
            "few_shot",
            "few_shot_examples",
            "choices",
            "options",
            "option_a",
            "A",
            "B",
            "C",
            "D",
        ],
    )
    def test_what_the_model_would_be_told_is_refused(self, key):
        fault = fault_of({"question": "q", "answer": "a", key: "about"})

        assert (fault.code, repr(key) in str(fault)) == (UNSUPPORTED, True)

    @pytest.mark.parametrize("key", ["loss_mask", "rejected", "tools", "thinking"])
    @pytest.mark.parametrize("empty", [None, "", [], {}, float("nan")], ids=repr)
    def test_an_empty_one_does_not_count(self, key, empty):
        reading = read_as_fed({**PAIR, key: empty})

        assert (reading.content, reading.provenance) == (read_as_fed(PAIR).content, {})

    @pytest.mark.parametrize(
        ("key", "value"),
        [("skip", False), ("deleted", "no"), ("hidden", 0), ("include", True)],
    )
    def test_a_switch_that_changes_nothing_is_kept(self, key, value):
        assert read_as_fed({**PAIR, key: value}).provenance == {key: value}

    @pytest.mark.parametrize(
        ("key", "value"), [("id", 5), ("date", "d"), ("source", {"a": [1]}), ("x", "y")]
    )
    @pytest.mark.parametrize("shape", Format)
    def test_what_carries_no_meaning_is_kept(self, shape, key, value):
        reading = read_as_fed({**WHOLE[shape], key: value})

        assert reading.content == read_as_fed(WHOLE[shape]).content
        assert reading.provenance == {key: value}

    @pytest.mark.parametrize("shape", sorted(set(Format) - {Format.TEXT}))
    @pytest.mark.parametrize("label", [False, "false", "False", 0, "0", 0.0], ids=repr)
    def test_a_row_that_is_labelled_bad_is_rejected(self, shape, label):
        assert fault_of({**WHOLE[shape], "label": label}).code == REJECTED

    @pytest.mark.parametrize("label", [True, "TRUE", 1, "1", None, ""], ids=repr)
    def test_one_that_is_labelled_good_is_learned(self, label):
        assert read_as_fed({**PAIR, "label": label}).content == (
            read_as_fed(PAIR).content
        )

    @pytest.mark.parametrize("label", ["good", 2, [0], float("nan")], ids=repr)
    def test_another_label_is_refused_by_name(self, label):
        fault = fault_of({**PAIR, "label": label})

        assert (fault.code, "label" in str(fault)) == (UNSUPPORTED, True)

    @pytest.mark.parametrize("label", ["sports", 0, 3, "0"], ids=repr)
    def test_the_label_of_a_text_is_its_class(self, label):
        assert read_as_fed({"text": "a", "label": label}).provenance == {"label": label}

    @pytest.mark.parametrize("label", [False, "false", "False"], ids=repr)
    def test_unless_it_is_a_truth_value(self, label):
        assert fault_of({"text": "a", "label": label}).code == REJECTED

    @pytest.mark.parametrize("shape", Format)
    @pytest.mark.parametrize("key", ["train", "weight"])
    def test_a_row_that_is_not_to_be_learned_is_rejected(self, shape, key):
        assert fault_of({**WHOLE[shape], key: 0}).code == REJECTED

    @pytest.mark.parametrize("shape", Format)
    def test_the_weight_of_a_row_is_that_of_its_answers(self, shape):
        content = read_as_fed({**WHOLE[shape], "weight": 0.5}).content

        last = content.messages[-1] if hasattr(content, "messages") else content
        assert last.weight == 0.5

    @pytest.mark.parametrize("weight", ["heavy", -1, 2, float("nan"), [1]], ids=repr)
    def test_another_weight_is_refused_by_name(self, weight):
        fault = fault_of({**PAIR, "weight": weight})

        assert (fault.code, "weight" in str(fault)) == (UNSUPPORTED, True)


class TestKept:
    def test_numbers_are_kept_as_they_are_written(self):
        row = '{"text": "a", "id": 12345678901234567890, "at": 1.5, "n": [7]}'

        kept = kept_json(read_as_fed(row).provenance)

        assert kept == '{"id": 12345678901234567890, "at": 1.5, "n": [7]}'

    def test_a_number_too_big_for_one_is_kept_as_text(self):
        row = '{"text": "a", "id": 1e999, "n": %s}'

        kept = kept_json(read_as_fed(row % ("9" * 400)).provenance)

        assert json.loads(kept)["id"] == "1e999"

    def test_a_long_value_is_cut(self):
        kept = json.loads(kept_json({"a": "x" * 10_000}))

        assert len(kept["a"]) == KEPT_BYTES + 3

    def test_so_many_keys_are_kept_with_names_not_too_long(self):
        many = {f"{n:03}" + "k" * 200: 1 for n in range(KEPT_KEYS * 2)}

        kept = json.loads(kept_json(many))

        assert len(kept) == KEPT_KEYS
        assert max(map(len, kept)) == NAME_CHARS + 3
