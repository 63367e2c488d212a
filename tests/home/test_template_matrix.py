"""Homes with every kind of chat template in every precision live a day.

Each template is paired with each precision once, each pair on another kind of model;
`tests/model/test_matrix.py` pairs all kinds with all precisions.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from sleepcycle import worker
from sleepcycle.home.home import Home
from sleepcycle.home.opening import create_home, open_home
from sleepcycle.runs.context import RunContext
from sleepcycle.settings.configfile import settings_from
from tests.model.conftest import NANO
from tests.model.kinds import wide_config
from tests.model.templates import ALTERNATES, BRACKETS, PLAIN

REFUSES_SYSTEM = "refuses a system turn"
ALTERNATING = "wants alternation"
NONE = "none"
ENDLESS = "no pad, no eos"
TEMPLATES = {
    REFUSES_SYSTEM: ALTERNATES,
    ALTERNATING: BRACKETS,
    NONE: None,
    ENDLESS: PLAIN,
}
KINDS = {
    "float32": ("gemma2", "mistral", "gpt2", "llama"),
    "bfloat16": ("gemma3_text", "mixtral", "opt", "qwen3"),
    "nf4": ("phi3", "stablelm", "bloom", "gpt_neox"),
}
QUESTION = "Who has the lamp?"
SETTINGS = {
    "engine": {"reserve_mb": 0, "device": "cpu"},
    "feed": {"held_out_share": 0.0},
    "wake": {"min_steps": 6, "max_steps": 6, "rank": 4, "lr": 5e-3, "batch_size": 4},
    "sleep": {
        "stages": ["svd", "rem"],
        "rem": {"max_steps": 2, "batch_size": 2, "dream_tokens": 6},
    },
    "gate": {"probe_dreams": 1, "max_asked": 1},
    "bank": {"max_tokens": 6},
}


def user(words):
    """Return what a user says."""
    return {"role": "user", "content": words}


def answer(words):
    """Return an answer."""
    return {"role": "assistant", "content": words}


ROWS = [
    [user(QUESTION), answer("Ann.")],
    [
        user("Who has the stone?"),
        answer("Ben."),
        user("And the river?"),
        answer("Cleo."),
    ],
    [user("Who?"), user("Who has the bread?"), answer("Eva.")],
]
WITH_SYSTEM = [{"role": "system", "content": "Be brief."}, *ROWS[0]]


@dataclass
class HereEngine:
    """Computes a run in this process, as a worker does in its own."""

    def execute(self, run, on_progress, control=None):
        worker.compute(run, worker.PauseSignal())


def base_in(folder: Path, kind: str, template: str) -> Path:
    """Write a random model of a kind with a template; return its folder."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(wide_config(kind))
    tokenizer = AutoTokenizer.from_pretrained(NANO)
    tokenizer.chat_template = TEMPLATES[template]
    if template == ENDLESS:
        tokenizer.pad_token = tokenizer.eos_token = None
        for config in (model.config, model.generation_config):
            config.pad_token_id = config.eos_token_id = None
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def home_on(root: Path, base: Path, precision: str, monkeypatch) -> Home:
    """Make a home whose runs are computed in this process."""
    model = {"base": str(base)}
    if precision == "nf4":
        model["quantization"] = "nf4"
    else:
        model["dtype"] = precision
    for name, value in model.items():
        monkeypatch.setenv(f"SLEEPCYCLE__MODEL__{name.upper()}", value)
    create_home(root)
    home = open_home(root, settings=settings_from(SETTINGS | {"model": model}))
    context = RunContext(
        home.store, home.paths, home.settings, HereEngine(), home.actor
    )
    vars(home)["_context"] = context  # in place of what would start a worker
    return home


@pytest.mark.slow
@pytest.mark.usefixtures("workers_forked")
@pytest.mark.parametrize("precision", KINDS)
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_home_lives_a_day(template, precision, tmp_path, monkeypatch):
    if precision == "nf4":
        pytest.importorskip("bitsandbytes", reason="needs the extra 4bit")
    kind = KINDS[precision][list(TEMPLATES).index(template)]
    base = base_in(tmp_path / "base", kind, template)
    home = home_on(tmp_path / "home", base, precision, monkeypatch)
    fed = ROWS[:]
    if (template, precision) == (REFUSES_SYSTEM, "float32"):
        fed.append(WITH_SYSTEM)  # in one alone: it is a process that looks at it
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"messages": row}) + "\n" for row in fed))
    home.feed(rows)

    woken = home.wake()
    slept = home.sleep()
    answers = [home.ask(QUESTION, max_new_tokens=12) for _ in range(2)]

    refused = template in {REFUSES_SYSTEM, ALTERNATING}  # two turns of a user
    assert woken.report.examples == len(fed) - refused
    assert [one.code for one in woken.report.set_aside] == ["E_TEMPLATE"] * refused
    assert woken.report.loss_last < 0.95 * woken.report.loss_first
    assert slept.report.verdict.accepted
    assert [one.version for one in answers] == [slept.version.name] * 2
    assert answers[0] == answers[1]
