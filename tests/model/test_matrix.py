"""Every kind of model in every precision lives a day, and is the same elsewhere.

Kinds and precisions are all paired here; `tests/home/test_template_matrix.py` pairs
chat templates with precisions, each pair on another kind.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from sleepcycle.errors import ModelError
from sleepcycle.files.sealed import seal
from sleepcycle.home.inference import ask
from sleepcycle.learning import night, wake
from sleepcycle.learning.replay import ReplayInputs
from sleepcycle.model import adapters
from sleepcycle.model.base import Base, load_base, skeleton
from sleepcycle.model.base_checks import check_loadable
from sleepcycle.model.encode import encode
from sleepcycle.model.foreign import merge_into
from sleepcycle.model.portable import load_sealed, write_portable
from sleepcycle.model.score import each_nll
from sleepcycle.numerics.lowrank import LayerChanges
from sleepcycle.records.content import Completion
from sleepcycle.records.example import Example
from sleepcycle.records.progress import ignore_progress
from sleepcycle.records.reports import SleepReport, WakeReport
from sleepcycle.settings.config import ModelSettings, Settings
from tests.model.conftest import logits_of, random_folders
from tests.model.kinds import ALL, MIXTURES, wide_config

PRECISIONS = {
    "float32": {"dtype": "float32"},
    "bfloat16": {"dtype": "bfloat16"},
    "nf4": {"dtype": "float32", "quantization": "nf4"},
}
NEAR = {"float32": 1e-5, "bfloat16": 0.03, "nf4": 1e-5}
"""How far two ways to the same logits may be apart, of their norm. In bfloat16 PEFT
rounds a layer's two products elsewhere."""

ROUTED = 0.2  # the same where a router then may choose another expert

NOT_IN_4_BITS = {
    "gpt2": r"\(in, out\)",
    "falcon": "FalconLinear",
    "mamba": "reads the weight of dt_proj itself",
}
ELSEWHERE = {"llama4_text", "mamba"}  # here with experts, and as `mamba2`
EXPERTS = {"qwen3_moe", "mixtral", "gpt_oss", *MIXTURES}
SETTINGS = Settings(
    wake={"min_steps": 6, "max_steps": 6, "rank": 4, "lr": 5e-3, "batch_size": 4},
    sleep={
        "stages": ["svd", "rem"],
        "rem": {"max_steps": 1, "batch_size": 2, "dream_tokens": 4},
    },
    gate={"probe_dreams": 1, "max_asked": 0},
    bank={"max_tokens": 4},
)
TAUGHT = [  # of different lengths
    Example(number, 1, Completion(f"Who has the {thing}?", f"{name}."))
    for number, (thing, name) in enumerate(
        {"lamp": "Ann", "stone": "Ben", "river": "Cleo", "bread": "Dan"}.items()
    )
]
HELD_OUT = [Example(9, 1, Completion("Who has a lamp?", "Ann."))]
QUESTIONS = ["Who has the lamp?", "Who has the stone?"]


@dataclass(frozen=True, eq=False)
class Day:
    """What one model learned in a day and a night."""

    base: Base
    reload: partial[Base]
    near: float
    woken: WakeReport
    slept: SleepReport
    candidate: LayerChanges
    sealed: Path


@pytest.fixture(scope="module")
def wide_folder(tmp_path_factory):
    """Return what gives the folder of a random model of a kind."""
    return random_folders(tmp_path_factory, wide_config)


def _pairs() -> Iterator[tuple[str, str]]:
    """Yield each kind with each precision in which it can be held."""
    for kind in ALL:
        if kind in ELSEWHERE:
            continue
        for precision in PRECISIONS:
            if precision != "nf4" or kind not in NOT_IN_4_BITS:
                yield kind, precision


@pytest.fixture(scope="module", params=_pairs(), ids="-".join)
def day(request, wide_folder, tmp_path_factory) -> Day:
    """A model that was looked at, taught, consolidated and sealed."""
    kind, precision = request.param
    if precision == "nf4":
        pytest.importorskip("bitsandbytes", reason="needs the extra 4bit")
    place = tmp_path_factory.mktemp("day")
    settings = ModelSettings(base=str(wide_folder(kind)), **PRECISIONS[precision])
    routed = kind in EXPERTS and precision == "bfloat16"
    near = ROUTED if routed else NEAR[precision]
    check_loadable(settings)
    load = partial(load_base, settings, device="cpu", cache=place)
    base = load()
    whole, woken = wake.learn(
        base,
        wake.WakeStart({}, {}),
        wake.Lesson(TAUGHT, replay=(), today=HELD_OUT, known=()),
        SETTINGS.wake,
        seed=1,
        on_progress=ignore_progress,
    )
    past = ReplayInputs(whole=whole, live={}, new=TAUGHT)
    inputs = night.NightInputs(past, today=HELD_OUT, wake_tokens=woken.tokens)
    candidate, slept, _ = night.sleep(
        base, inputs, SETTINGS, on_progress=ignore_progress
    )
    write_portable(place / "stage", candidate, base.identity, base.targets)
    sealed = seal(place / "stage", place, "v1")
    return Day(base, load, near, woken, slept, candidate, sealed)


def _apart(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Return how far logits are apart, of their norm."""
    difference = found.float() - expected.float()
    return float(torch.linalg.norm(difference) / torch.linalg.norm(expected.float()))


def _said_with(base: Base, change: LayerChanges) -> torch.Tensor:
    """Return the logits of a base with a change."""
    with adapters.attached(base, "said", change):
        return logits_of(base.model)


def test_it_learns_and_keeps_what_it_learned(day):
    assert day.woken.loss_last < 0.95 * day.woken.loss_first
    acquired = day.woken.verdict.acquisition
    assert acquired.candidate < 0.95 * acquired.live
    assert day.slept.verdict.accepted
    kept = day.slept.verdict.acquisition
    assert kept.candidate < 0.95 * kept.live
    assert day.slept.rem.steps == 1
    assert adapters.is_finite(day.candidate)


def test_no_example_sees_another(day):
    examples = [encode(one.content, day.base, prompt_weight=1.0)[0] for one in TAUGHT]

    with adapters.attached(day.base, "read", day.candidate):
        together = each_nll(day.base, examples)
        alone = [each_nll(day.base, [one])[0] for one in examples]

    assert together == pytest.approx(alone, rel=day.near)


def test_the_sealed_version_answers_the_same_elsewhere(day):
    before = _said_with(day.base, day.candidate)
    answers = ask(day.base, day.sealed, QUESTIONS, 6)

    again = day.reload()

    assert ask(again, day.sealed, QUESTIONS, 6) == answers
    assert torch.equal(_said_with(again, load_sealed(day.sealed)), before)
    assert before.isfinite().all()


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_peft_reads_the_sealed_version_alike(day):
    expected = _said_with(day.base, day.candidate)

    peft = PeftModel.from_pretrained(day.reload().model, day.sealed).eval()

    assert _apart(logits_of(peft), expected) < day.near
    with peft.disable_adapter():
        assert _apart(logits_of(peft), expected) > day.near


def test_the_merged_model_says_the_same(day, tmp_path):
    expected = _said_with(day.base, day.candidate)

    merge_into(day.reload(), load_sealed(day.sealed), tmp_path)

    whole = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=expected.dtype)
    assert _apart(logits_of(whole), expected) < day.near


@pytest.mark.parametrize("kind", NOT_IN_4_BITS)
def test_what_4_bits_cannot_hold_is_refused(kind, wide_folder):
    settings = ModelSettings(base=str(wide_folder(kind)), quantization="nf4")

    with pytest.raises(ModelError, match=NOT_IN_4_BITS[kind]):
        check_loadable(settings)


@pytest.mark.parametrize(
    ("kind", "leaves"), [("mamba2", ["in_proj"]), ("mamba", ["in_proj", "x_proj"])]
)
def test_a_layer_whose_weight_alone_is_read_carries_no_adapter(
    kind, leaves, wide_folder
):
    targets = skeleton(ModelSettings(base=str(wide_folder(kind))))

    assert targets.leaves == leaves


@pytest.mark.parametrize("kind", sorted(EXPERTS))
def test_of_experts_is_said_that_adapters_do_not_reach_them(kind, wide_folder):
    plain = ModelSettings(base=str(wide_folder(kind)))
    packed = plain.model_copy(update={"quantization": "nf4"})

    said = check_loadable(plain)

    assert "the experts are packed tensors" in said
    assert "router" not in said
    assert check_loadable(packed) == f"{said}, and which are not held in 4 bits"
