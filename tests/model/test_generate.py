"""Answers: the same alone and among others, and ending where the model ends them."""

import pytest
import torch

from sleepcycle.errors import ModelError
from sleepcycle.model.adapters import activate, attach
from sleepcycle.model.encode import end_ids, render_prompt
from sleepcycle.model.generate import Sampling, answer, generate
from sleepcycle.model.row_batches import MOST_ROWS_ELSEWHERE
from tests.model.conftest import some_examples

KNOWN = {
    "What is 7 + 5?": "12",
    "Which day comes after Monday?": "Tuesday",
    "What is the opposite of hot?": "cold",
    "Repeat: river stone bird": "river stone bird",
    "The capital of Zumi is Palor. What is the capital of Zumi?": "Palor",
}


def prompts_of(base, count=6):
    """Return random prompts of unlike lengths, the longest first."""
    rows = some_examples(base, count=count, length=count + 3)
    return [list(row.ids[: len(row.ids) - i]) for i, row in enumerate(rows)]


class TestAnswer:
    def test_what_it_knows_it_says_and_stops(self, nano):
        prompts = [render_prompt(prompt, nano) for prompt in KNOWN]

        assert answer(nano, prompts, max_new_tokens=24) == list(KNOWN.values())

    def test_among_others_it_is_what_it_is_alone(self, base):
        """
        Padding at the left changes neither what is seen nor where it stands.
        """
        prompts = prompts_of(base)

        together = answer(base, prompts, max_new_tokens=8)

        alone = [answer(base, [p], max_new_tokens=8)[0] for p in prompts]
        assert together == alone
        assert len(set(together)) > 1

    def test_more_than_one_batch_keeps_the_order(self, llama):
        count = MOST_ROWS_ELSEWHERE + 3
        prompts = [list(row.ids[: 1 + i % 5])
                   for i, row in enumerate(some_examples(llama, count))]  # fmt: skip

        together = answer(llama, prompts, max_new_tokens=3)

        for place in (0, 1, 4, count - 1):
            [alone] = answer(llama, [prompts[place]], max_new_tokens=3)
            assert together[place] == alone

    def test_it_is_greedy(self, llama):
        """
        Against the model asked token by token.
        """
        prompt = prompts_of(llama)[0]
        ids = list(prompt)
        for _ in range(6):
            with torch.no_grad():
                said = llama.model(input_ids=torch.tensor([ids])).logits[0, -1]
            ids.append(int(said.argmax()))
        fresh = ids[len(prompt) :]
        assert not end_ids(llama) & set(fresh)

        [text] = answer(llama, [prompt], max_new_tokens=6)

        assert text == llama.tokenizer.decode(fresh, skip_special_tokens=True)

    def test_no_answer_is_longer_than_asked(self, nano):
        prompt = render_prompt("Repeat: river stone bird", nano)

        [text] = answer(nano, [prompt], max_new_tokens=2)

        assert "river stone bird".startswith(text)
        assert len(nano.tokenizer(text, add_special_tokens=False)["input_ids"]) == 2

    def test_active_adapters_speak(self, llama, random_changes):
        prompts = prompts_of(llama)
        bare = answer(llama, prompts, max_new_tokens=6)
        attach(llama, "live", random_changes(llama.targets, size=0.3))

        activate(llama, ["live"])
        adapted = answer(llama, prompts, max_new_tokens=6)
        activate(llama, [])

        assert adapted != bare
        assert answer(llama, prompts, max_new_tokens=6) == bare

    def test_no_prompt_has_no_answer(self, llama):
        assert answer(llama, [], max_new_tokens=4) == []

    @pytest.mark.shared
    def test_a_real_model_tells_a_story(self, shared_data, load):
        base = load(shared_data / "models" / "stories260K")

        [text] = answer(base, [render_prompt("Once upon", base)], max_new_tokens=12)

        assert text.startswith("a time, there was a")


class TestSampling:
    """
    Each row is drawn by numbers of its own.
    """

    def test_a_seed_says_the_same_again(self, llama):
        prompts = prompts_of(llama)

        first, again, other = (
            generate(llama, prompts, max_new_tokens=8, sampling=Sampling(1.0, seed))
            for seed in (3, 3, 4)
        )

        assert first == again
        assert [one.ids for one in first] != [one.ids for one in other]

    def test_a_row_says_what_it_says_without_the_rows_behind_it(self, llama):
        prompts, sampling = prompts_of(llama), Sampling(1.0, 3)
        together = generate(llama, prompts, max_new_tokens=8, sampling=sampling)

        fewer = generate(llama, prompts[:2], max_new_tokens=8, sampling=sampling)

        assert [one.ids for one in fewer] == [one.ids for one in together[:2]]

    def test_tokens_come_as_often_as_they_are_likely(self, llama):
        prompt = prompts_of(llama)[0]
        with torch.no_grad():
            logits = llama.model(input_ids=torch.tensor([prompt])).logits[0, -1]
        likely = (logits / 0.7).softmax(dim=0)

        drawn = generate(
            llama, [prompt] * 4000, max_new_tokens=1, sampling=Sampling(0.7, 0)
        )

        first = [one.ids[0] for one in drawn if one.ids]
        top = int(likely.argmax())
        spread = (likely[top] * (1 - likely[top]) / 4000).sqrt()
        assert abs(first.count(top) / 4000 - likely[top]) < 5 * spread

    def test_the_global_generator_is_left_alone(self, llama):
        before = torch.random.get_rng_state()

        generate(llama, prompts_of(llama), max_new_tokens=4, sampling=Sampling(1.0))

        assert torch.equal(torch.random.get_rng_state(), before)


class TestFullMemory:
    def test_a_batch_without_room_is_halved(self, llama):
        """
        As training does; what is said stays the same.
        """
        prompts = prompts_of(llama)
        ample = answer(llama, prompts, max_new_tokens=6)

        def most_two(module, args, given):
            if given["input_ids"].shape[0] > 2:
                raise torch.OutOfMemoryError("no room for so many")

        hook = llama.model.register_forward_pre_hook(most_two, with_kwargs=True)
        tight = answer(llama, prompts, max_new_tokens=6)
        hook.remove()

        assert tight == ample

    def test_one_answer_without_room_fails_with_its_cause(self, llama):
        def none(module, args, given):
            raise torch.OutOfMemoryError("no room at all")

        hook = llama.model.register_forward_pre_hook(none, with_kwargs=True)
        with pytest.raises(
            ModelError,
            match="expected one answer to fit in memory, got: no room at all; ask for "
            "fewer new tokens",
        ):
            answer(llama, prompts_of(llama), max_new_tokens=6)
        hook.remove()


class TestPositions:
    """
    GPT-2 has learned its positions, so past them there is none; Llama would go on.
    """

    @pytest.fixture(params=["gpt2", "llama"])
    def short(self, request, tiny_folder, load):
        """A model of 128 positions."""
        return load(tiny_folder(request.param))

    @pytest.mark.parametrize(
        ("length", "new"), [(128, 1), (100, 29), (5, 124), (1, 999)]
    )
    def test_what_leads_past_them_is_refused_in_words(self, short, length, new):
        prompt = list(some_examples(short, 1, length)[0].ids)

        with pytest.raises(
            ModelError,
            match=rf"within the 128 positions of .*, got {length} tokens and up to "
            f"{new} new ones; shorten the prompt, or ask for fewer",
        ):
            answer(short, [prompt], max_new_tokens=new)

    def test_what_just_fits_is_answered(self, short):
        prompt = list(some_examples(short, 1, 100)[0].ids)

        assert len(answer(short, [prompt], max_new_tokens=28)) == 1

    def test_max_length_bounds_examples_and_no_answers(self, tiny_folder, load):
        base = load(tiny_folder("gpt2"), max_length=10)
        prompt = list(some_examples(base, 1, 100)[0].ids)

        assert len(answer(base, [prompt], max_new_tokens=28)) == 1
