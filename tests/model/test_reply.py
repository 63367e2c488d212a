"""Replies: calls are answered while the model writes, within bounds; else nothing."""

import re
from collections import deque
from dataclasses import dataclass, field, replace

import pytest

from sleepcycle.model import reply
from sleepcycle.model.adapters import activate, attach
from sleepcycle.model.calculator import ToolUse, behind_result
from sleepcycle.model.encode import render_prompt, tokens
from sleepcycle.model.generate import Generated, answer, generate
from sleepcycle.model.reply import MOST_CALLS, Prompt, Reply, reply_to

CALL = "Tool: 847 * 93 ="
PRODUCT = ToolUse("847 * 93", "78771")
TOO_MANY = f"expected at most {MOST_CALLS} calls"


@dataclass
class Script:
    """Stands in for `generate`: says lines of its own, and notes what it was asked."""

    lines: dict[str, deque[str]]
    """What is said to each prompt, one after the other."""

    bounds: list[int] = field(default_factory=list)
    seen: list[list[str]] = field(default_factory=list)
    """The prompts of each time, as the model reads them, special tokens included."""

    ids: list[list[list[int]]] = field(default_factory=list)

    def __call__(self, base, prompts, *, max_new_tokens, sampling):
        """Say the next line to each prompt, up to the bound."""
        assert sampling.temperature == 0
        texts = [base.tokenizer.decode(ids) for ids in prompts]
        if prompts:
            self.bounds.append(max_new_tokens)
            self.seen.append(texts)
            self.ids.append([list(ids) for ids in prompts])
        return [self._say(base, text, max_new_tokens) for text in texts]

    def _say(self, base, text, most):
        prompt = re.search(r"<\|user\|>(.*?)<\|end\|>", text, re.DOTALL)[1]
        ids = spelt(base, self.lines[prompt].popleft())
        return Generated(tuple(ids[:most]), len(ids) < most, 1.0)


@pytest.fixture
def script(monkeypatch):
    """Return what lets the model say given lines to given prompts."""

    def scripted(**lines):
        made = Script({prompt: deque(said) for prompt, said in lines.items()})
        monkeypatch.setattr(reply, "generate", made)
        return made

    return scripted


def asking(prompt="p", **more):
    """Return a prompt that has the tool."""
    return Prompt(prompt, uses_tool=True, **more)


def spelt(base, text):
    """Return text as a model writes it: special tokens, if any, letter by letter."""
    options = {"add_special_tokens": False, "split_special_tokens": True}
    return base.tokenizer(text, **options)["input_ids"]


def size(base, text):
    """Return how many tokens a text has."""
    return len(tokens(base, text))


class TestCalls:
    def test_the_result_takes_the_place_of_what_the_model_made_up(self, nano, script):
        script(p=[f"{CALL} 12\nResult: 12", "\nResult: 78771"])

        [said] = reply_to(nano, [asking()])

        assert said == Reply(f"{CALL} 78771\nResult: 78771", (PRODUCT,))

    def test_the_model_goes_on_from_its_prompt_and_the_result(self, nano, script):
        """
        As one text, encoded as training would: not in the pieces it came in.
        """
        made = script(p=[f"{CALL} 12", ""])

        reply_to(nano, [asking()])

        start = render_prompt("p", nano)
        assert made.ids == [[start], [start + tokens(nano, f"{CALL} 78771")]]

    def test_it_is_asked_once_where_it_calls_nothing(self, nano, script):
        made = script(p=["no = call"])

        assert reply_to(nano, [asking()]) == [Reply("no = call")]
        assert made.bounds == [64]

    def test_without_the_tool_a_call_stays_as_it_was_written(self, nano, script):
        made = script(p=[f"{CALL} 12\nResult: 12"])

        [said] = reply_to(nano, [Prompt("p")])

        assert said == Reply(f"{CALL} 12\nResult: 12")
        assert len(made.bounds) == 1

    def test_calls_are_answered_one_after_the_other(self, nano, script):
        script(p=["Tool: 2 + 3 =", "\nTool: 5 * 5 = 1", "\nso 25"])

        [said] = reply_to(nano, [asking()])

        assert said.text == "Tool: 2 + 3 = 5\nTool: 5 * 5 = 25\nso 25"
        assert said.uses == (ToolUse("2 + 3", "5"), ToolUse("5 * 5", "25"))

    def test_digits_that_the_model_hangs_on_a_result_are_left_out(self, nano, script):
        """
        Else 78771 would read 7877112; what it writes anew is its own.
        """
        script(p=[CALL, "12\nResult: 12"])

        [said] = reply_to(nano, [asking()])

        assert said == Reply(f"{CALL} 78771\nResult: 12", (PRODUCT,))

    def test_an_answer_that_begins_with_digits_keeps_them(self, nano, script):
        script(p=["12"])

        assert reply_to(nano, [asking()]) == [Reply("12")]

    def test_what_cannot_be_calculated_says_so_and_the_model_goes_on(
        self, nano, script
    ):
        script(p=["Tool: 1 / 0 = 7", "\nI cannot tell"])

        [said] = reply_to(nano, [asking()])

        assert said.text == "Tool: 1 / 0 = error\nI cannot tell"
        assert (said.uses[0].expression, said.uses[0].result) == ("1 / 0", None)
        assert said.uses[0].error.startswith("expected a divisor other than 0")

    def test_nothing_asked_is_nothing_said(self, nano, script):
        script()

        assert reply_to(nano, []) == []


class TestBounds:
    @pytest.mark.parametrize("most", [1, 9, 10, 14, 15, 16, 19, 20, 21, 25, 40])
    def test_the_answer_is_as_long_as_asked_results_included(self, nano, script, most):
        """
        Only a last result may reach past it, since half of it would be another one.
        """
        made = script(p=[f"{CALL} 12\nResult: 12", "\nResult: " + "word " * 60])
        answered = size(nano, f"{CALL} 78771")

        [said] = reply_to(nano, [asking(max_new_tokens=most)])

        if most < size(nano, CALL):
            assert CALL.startswith(said.text)
            assert said.uses == ()
        elif most <= answered:
            assert said == Reply(f"{CALL} 78771", (PRODUCT,))
        else:
            assert said.text.startswith(f"{CALL} 78771\n")
            assert size(nano, said.text) == most
            assert made.bounds == [most, most - answered]

    def test_a_model_that_was_cut_off_at_its_call_is_not_asked_again(
        self, nano, script
    ):
        made = script(p=[f"{CALL} 1"])

        [said] = reply_to(nano, [asking(max_new_tokens=size(nano, CALL))])

        assert said.text == f"{CALL} 78771"
        assert len(made.bounds) == 1

    def test_a_call_behind_the_bound_is_no_call(self, nano, script):
        script(p=[f"so\n{CALL}"])

        [said] = reply_to(nano, [asking(max_new_tokens=size(nano, "so\nTool: 84"))])

        assert said.uses == ()

    def test_a_model_that_calls_forever_is_refused(self, nano, script):
        made = script(p=["Tool: 1 + 1 = 3"] + ["\nTool: 1 + 1 = 3"] * 50)

        [said] = reply_to(nano, [asking(max_new_tokens=10_000)])

        assert said.text == "\n".join(
            ["Tool: 1 + 1 = 2"] * MOST_CALLS + ["Tool: 1 + 1 = error"]
        )
        assert [use.result for use in said.uses] == ["2"] * MOST_CALLS + [None]
        assert said.uses[-1].error.startswith(TOO_MANY)
        assert len(made.bounds) == 1 + MOST_CALLS


class TestBatches:
    def test_those_who_go_on_do_so_side_by_side(self, nano, script):
        made = script(
            a=[CALL, "\nso much"],
            b=["none"],
            c=["Well\n" + CALL, "\n" + "long " * 90],
            d=[CALL],
        )

        said = reply_to(
            nano, [asking("a"), asking("b"), asking("c"), Prompt("d", uses_tool=False)]
        )

        assert [len(prompts) for prompts in made.seen] == [4, 2]
        assert [one.text[:9] for one in said[:2]] == ["Tool: 847", "none"]
        assert said[0].text == f"{CALL} 78771\nso much"
        assert said[3] == Reply(CALL)
        assert size(nano, said[2].text) == 64

    def test_each_is_what_it_is_alone(self, nano, script):
        """
        Though a batch goes on to its longest.
        """
        lines = {
            "a": [f"{CALL} 1", "\nso " + "word " * 70],
            "b": ["First, as was said\nTool: 1 / 3 =", "\nor " + "more " * 70],
            "c": ["Tool: x =", "\nno"],
        }
        asked = [asking("a"), asking("b"), asking("c", max_new_tokens=12)]
        script(**lines)
        together = reply_to(nano, asked)

        alone = []
        for one in asked:
            script(**lines)
            alone += reply_to(nano, [one])

        assert together == alone

    def test_those_of_another_bound_do_not_wait(self, nano, script):
        made = script(a=["x"], b=["y"])

        said = reply_to(nano, [asking("a", max_new_tokens=9), asking("b")])

        assert [one.text for one in said] == ["x", "y"]
        assert made.bounds == [9, 64]

    def test_one_with_little_room_does_not_hold_off_the_others(self, nano, script):
        """
        Side by side it would be led past the last position, after its first call.
        """
        most = 60
        room = len(render_prompt("a", nano)) + most
        tight = replace(nano, positions=room)
        asked = [Prompt("a", True, most), Prompt("b", True, most)]
        said = script(a=[f"{CALL} 1", "end"], b=[f"ok {CALL} 1", "end"])

        replies = reply_to(tight, asked)

        assert [one.text.endswith("78771end") for one in replies] == [True, True]
        assert all(
            len(ids) + bound <= room
            for batch, bound in zip(said.ids, said.bounds, strict=True)
            for ids in batch
        )


class TestSpecialTokens:
    @pytest.mark.parametrize(
        "expression", ["<|end|><|user|>1", "1 <|eos|>", "<|assistant|>", "2 + 2"]
    )
    def test_no_call_brings_one(self, nano, script, expression):
        """
        A model can spell out a token's name; read again, it is still spelt out.
        """
        made = script(p=[f"Tool: {expression} = 1", ""])

        [said] = reply_to(nano, [asking()])

        [again] = made.ids[1]
        written = again[len(render_prompt("p", nano)) :]
        assert not set(written) & set(nano.tokenizer.all_special_ids)
        assert nano.tokenizer.decode(written) == said.text
        assert said.text.startswith(f"Tool: {expression} = ")

    def test_reading_again_leaves_prompts_as_they_were(self, nano, script):
        """
        How a text was tokenized is no lasting state of the tokenizer.
        """
        before = render_prompt("p", nano)
        script(p=[CALL, ""])

        reply_to(nano, [asking()])

        assert render_prompt("p", nano) == before


class TestRealModel:
    PROMPTS = (
        "What is 7 + 5?",
        "Repeat: river stone bird",
        "Repeat: the sum = 12",
        "Which day comes after Monday?",
    )

    @pytest.mark.parametrize("uses_tool", [False, True])
    @pytest.mark.parametrize("most", [2, 24])
    def test_without_a_call_the_text_is_the_plain_answer(self, nano, uses_tool, most):
        said = reply_to(nano, [Prompt(p, uses_tool, most) for p in self.PROMPTS])

        ids = [render_prompt(prompt, nano) for prompt in self.PROMPTS]
        plain = answer(nano, ids, max_new_tokens=most)
        assert [one.text for one in said] == plain
        assert all(one.uses == () for one in said)

    def test_it_goes_on_behind_a_result_as_from_any_text(self, llama, monkeypatch):
        """
        The call is scripted, since a random model writes none; the rest is its own.
        """
        start = render_prompt("p", llama)
        known = tokens(llama, f"{CALL} 78771")
        said = [Generated(tuple(tokens(llama, CALL)), True, 1.0)]
        monkeypatch.setattr(
            reply,
            "generate",
            lambda *a, **b: (said and [said.pop()]) or generate(*a, **b),
        )

        [made] = reply_to(llama, [asking(max_new_tokens=40)])

        room = 40 - len(known)
        [more] = answer(llama, [start + known], max_new_tokens=room)
        assert more
        assert made == Reply(f"{CALL} 78771{behind_result(more)}", (PRODUCT,))

    def test_active_adapters_speak(self, llama, random_changes):
        asked = [asking("some prompt", max_new_tokens=6)]
        bare = reply_to(llama, asked)
        attach(llama, "live", random_changes(llama.targets, size=0.3))

        activate(llama, ["live"])

        assert reply_to(llama, asked) != bare

    @pytest.mark.shared
    def test_words_behind_a_result_keep_their_space(
        self, shared_data, load, monkeypatch
    ):
        """
        A tokenizer with SentencePiece's space loses it where a text begins.
        """
        base = load(shared_data / "models" / "stories260K")
        parts = [tokens(base, CALL), tokens(base, "and then")]
        monkeypatch.setattr(
            reply,
            "generate",
            lambda *_, **__: [Generated(tuple(parts.pop(0)), True, 1.0)],
        )

        [said] = reply_to(base, [asking()])

        assert said.text == f"{CALL} 78771 and then"
