"""The embedded base model: that it loads, chats, and is what its card says."""

import json
from collections import Counter
from pathlib import Path
from random import Random
from string import printable

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tools.nano_blocks import BLOCK, pack
from tools.nano_corpus import document
from tools.nano_skills import SKILLS
from tools.nano_tokenizer import CHAT_TEMPLATE, SPECIAL, as_text
from tools.nano_world import make_world

NANO = Path(__file__).parents[1] / "sleepcycle" / "nano"
KNOWN = {
    "What is 7 + 5?": "12",
    "Which day comes after Monday?": "Tuesday",
    "What is the opposite of hot?": "cold",
    "Repeat: river stone bird": "river stone bird",
    "The capital of Zumi is Palor. What is the capital of Zumi?": "Palor",
    "What is 4821 plus 391?": "5212",
    "Put lamp in round brackets.": "(lamp)",
    "Write river in capital letters.": "RIVER",
    "Join 12, bird, 7 with ^": "12^bird^7",
}
MAX_COSINE = 0.95  # of the embeddings of two characters


@pytest.fixture(scope="module")
def tokenizer():
    """The tokenizer that ships."""
    return AutoTokenizer.from_pretrained(NANO)


@pytest.fixture(scope="module")
def model():
    """The model that ships, in float32."""
    return AutoModelForCausalLM.from_pretrained(NANO, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def metrics():
    """What the pre-training measured."""
    return json.loads((NANO / "metrics.json").read_text())


def answer(model, tokenizer, question):
    """Return the ids that follow a question, greedily."""
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    tokens = model.generate(**prompt, max_new_tokens=24)
    return tokens[0, prompt["input_ids"].shape[1] :]


@pytest.mark.parametrize("question", KNOWN)
def test_it_answers_and_stops(model, tokenizer, question):
    said = answer(model, tokenizer, question)

    assert tokenizer.decode(said[:-1]) == KNOWN[question]
    assert tokenizer.decode(said[-1]) == "<|end|>"


def test_no_two_characters_look_alike_to_it(model, tokenizer):
    """
    A LoRA leaves embeddings as they are, so what looks alike cannot be taught apart:
    those of characters that pre-training never showed are all one vector.
    """
    ids = [tokenizer.encode(c, add_special_tokens=False)[0] for c in printable.strip()]
    rows = model.get_input_embeddings().weight.detach()[ids]

    cosines = torch.nn.functional.cosine_similarity(rows[:, None], rows[None], dim=-1)

    assert len(set(ids)) == len(printable.strip())
    assert cosines.fill_diagonal_(0).max().item() < MAX_COSINE


def test_loss_is_what_the_card_states(model, tokenizer, metrics):
    """
    The capitals of its own world, asked again, cost what was measured. Drawn from
    another stream, so the bound is loose; an untrained model is at ln(768) = 6.6.
    """
    world = make_world(metrics["plan"]["seed"])
    texts = [as_text(SKILLS["opposite"](Random(seed), world)) for seed in range(32)]
    batch = tokenizer(
        texts,
        return_tensors="pt",
        padding=True,
        padding_side="right",
        add_special_tokens=False,  # they are in the texts
    )
    labels = batch["input_ids"].where(batch["attention_mask"] == 1, -100)

    with torch.no_grad():
        loss = model(input_ids=batch["input_ids"], labels=labels).loss

    assert loss.item() == pytest.approx(metrics["loss"]["opposite"], rel=0.5)


def test_card_states_the_measured_losses(metrics):
    card = (NANO / "README.md").read_text()

    assert f"Over all of them: **{metrics['loss']['all']:.4f}**" in card
    for kind, loss in metrics["loss"].items():
        assert f"| {kind} | {loss:.4f} |" in card


def test_weights_are_small_and_in_bfloat16(model, metrics):
    weights = NANO / "model.safetensors"

    assert weights.stat().st_size < 12_000_000
    assert weights.stat().st_size < 2.1 * metrics["parameters"]
    assert model.num_parameters() == metrics["parameters"]


def test_marks_are_single_tokens(tokenizer):
    for place, mark in enumerate(SPECIAL):
        assert tokenizer.encode(mark, add_special_tokens=False) == [place]


def test_every_digit_is_a_token(tokenizer):
    """
    A space before a number is a token too, so 12 looks the same everywhere.
    """
    tokens = tokenizer.tokenize("12 345")

    assert tokens == ["1", "2", "Ġ", "3", "4", "5"]


def test_chat_template_writes_what_was_trained(tokenizer):
    """
    The template and the corpus writer are two pieces of code with one format.
    """
    turns = ("Hello", "Hi", "Bye", "So long")
    roles = ("user", "assistant") * 2
    messages = [
        {"role": role, "content": turn} for role, turn in zip(roles, turns, strict=True)
    ]

    assert tokenizer.chat_template == CHAT_TEMPLATE
    assert tokenizer.apply_chat_template(messages, tokenize=False) == as_text(turns)


def test_text_survives_the_tokenizer(tokenizer):
    text = "Zürich 東京 \n\t 2031-04-09  end"

    assert tokenizer.decode(tokenizer.encode(text)) == f"<|bos|>{text}"


def test_a_document_depends_on_its_number_alone():
    """
    Processes write the corpus in any order; every document must come out the same.
    """
    world = make_world(1)

    forward = [document(world, 1, index) for index in range(50)]
    backward = [document(world, 1, index) for index in reversed(range(50))]

    assert forward == backward[::-1]
    assert len(set(forward)) > 40


@pytest.mark.parametrize(
    ("skill", "right"),
    [
        ("add", lambda a, b: a + b),
        ("subtract", lambda a, b: a - b),
        ("multiply", lambda a, b: a * b),
        ("add_large", lambda a, b: a + b),
    ],
)
def test_the_arithmetic_that_is_taught_is_right(skill, right):
    rng, world = Random(0), make_world(1)

    for _ in range(50):
        question, said = SKILLS[skill](rng, world)
        marks = str.maketrans(dict.fromkeys("?.=+-", " "))
        a, b = (
            int(part) for part in question.translate(marks).split() if part.isdigit()
        )
        assert int(said) == right(a, b)


@pytest.mark.parametrize("skill", ["capitals", "enclose", "join"])
def test_what_is_written_is_made_of_what_was_asked(skill):
    """
    No letter or digit of the answer is new but for its case.
    """
    rng, world = Random(0), make_world(1)

    for _ in range(50):
        asked, said = SKILLS[skill](rng, world)
        shown = {sign.lower() for sign in said if sign.isalnum()}
        assert shown <= set(asked.lower())


def test_the_corpus_has_every_character_of_the_keyboard():
    world = make_world(1)
    written = Counter(
        sign
        for index in range(20_000)
        for turn in document(world, 1, index).turns
        for sign in turn
    )

    assert min(written[sign] for sign in printable.strip()) > 10


def test_blocks_hold_whole_documents_and_cut_what_is_longer():
    documents = [[1] * 200, [2] * 100, [3] * (BLOCK + 9)]

    blocks = pack(documents, pad=0)

    assert blocks.shape == (3, BLOCK)
    assert blocks.sum(axis=1).tolist() == [200, 200, 3 * BLOCK]
