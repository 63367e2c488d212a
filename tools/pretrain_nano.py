"""Pre-trains `builtin:nano`, the embedded base model, from a seed and nothing else.

python -m tools.pretrain_nano --out sleepcycle/nano
"""

import argparse
import json
import math
import platform
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM
from transformers import PreTrainedTokenizerFast as Tokenizer

from tools.nano_blocks import BLOCK, pack, write_blocks, write_documents
from tools.nano_card import write_card
from tools.nano_skills import SKILLS
from tools.nano_tokenizer import CONTEXT, END, as_text, train_tokenizer
from tools.nano_world import make_world

HEADS = 5
PEAK_LR = 2e-3
WARMUP = 200  # steps
FLOOR = 0.05  # of the peak, at the last step
TOKENIZER_DOCUMENTS = 20_000
HELD_OUT_SEED = 1_000_000  # added to the seed: a stream of documents never trained on
HELD_OUT_DOCUMENTS = 5_000
QUESTIONS = 100  # a skill
ANSWER_TOKENS = 40


@dataclass(frozen=True, slots=True)
class Plan:
    """What the command line asked for."""

    out: Path
    steps: int
    documents: int
    batch: int
    hidden: int
    layers: int
    seed: int
    device: str
    compile: bool


def main() -> None:
    """Write the corpus, train on it, judge the model, and save it with its card."""
    plan = _arguments()
    torch.manual_seed(plan.seed)
    tokenizer = _tokenizer(plan)
    start = time.monotonic()
    corpus = write_blocks(plan.out / "tokenizer.json", plan.seed, plan.documents)
    print(
        f"{len(corpus)} blocks written in {time.monotonic() - start:.0f} s", flush=True
    )
    model = _model(plan, tokenizer)
    start = time.monotonic()
    _train(model, torch.from_numpy(corpus), plan)
    seconds = time.monotonic() - start
    model.to(torch.bfloat16).to(torch.float32).eval()  # judged as it will be saved
    metrics = {
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "tokens": plan.steps * plan.batch * BLOCK,
        "seconds": round(seconds, 1),
        "plan": {key: value for key, value in asdict(plan).items() if key != "out"},
        "machine": _machine(plan.device),
        "loss": _held_out_loss(model, tokenizer, plan),
        "exact_match": _quiz(model, tokenizer, plan),
    }
    _save(model, tokenizer, metrics, plan.out)
    print(json.dumps(metrics, indent=2))


def _arguments() -> Plan:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    cuda = torch.cuda.is_available()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=9000)
    parser.add_argument("--documents", type=int, default=3_000_000)
    parser.add_argument("--batch", type=int, default=256, help="blocks a step")
    parser.add_argument("--hidden", type=int, default=160)
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda" if cuda else "cpu")
    parser.add_argument("--compile", action="store_true")
    return Plan(**vars(parser.parse_args()))


def _tokenizer(plan: Plan) -> Tokenizer:
    """Train the tokenizer on the first documents, and save it for all processes."""
    sample = write_documents(plan.seed, plan.seed, range(TOKENIZER_DOCUMENTS))
    tokenizer = train_tokenizer(as_text(each.turns) for each in sample)
    tokenizer.save_pretrained(plan.out)
    return tokenizer


def _model(plan: Plan, tokenizer: Tokenizer) -> LlamaForCausalLM:
    """Make the untrained model, in float32."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=plan.hidden,
        intermediate_size=plan.hidden * 14 // 5,
        num_hidden_layers=plan.layers,
        num_attention_heads=HEADS,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config).to(plan.device)


def _train(model: LlamaForCausalLM, corpus: Tensor, plan: Plan) -> None:
    """Run AdamW over random blocks; the corpus lies on the device throughout.

    Args:
        model: Changed in place.
        corpus: Token ids in int16, (blocks, BLOCK).
        plan: Steps, batch, seed and device.
    """
    corpus = corpus.to(plan.device)
    forward = torch.compile(model) if plan.compile else model
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=PEAK_LR,
        betas=(0.9, 0.95),
        weight_decay=0.05,
        fused=plan.device.startswith("cuda"),
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _share_of_peak(step, plan.steps)
    )
    generator = torch.Generator().manual_seed(plan.seed)
    start = time.monotonic()
    for step in range(plan.steps):
        rows = torch.randint(len(corpus), (plan.batch,), generator=generator)
        loss = _loss(forward, corpus[rows.to(plan.device)].long(), plan)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 200 == 0 or step == plan.steps - 1:  # the only waits for the device
            spent = time.monotonic() - start
            print(f"step {step}: loss {loss.item():.4f}, {spent:.0f} s", flush=True)


def _share_of_peak(step: int, steps: int) -> float:
    """Return the learning rate's share of its peak: warm-up, then half a cosine."""
    if step < WARMUP:
        return (step + 1) / WARMUP
    done = (step - WARMUP) / max(1, steps - WARMUP)
    return FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * done))


def _loss(model: Any, blocks: Tensor, plan: Plan) -> Tensor:  # noqa: ANN401 - compiled
    """Return the mean loss of the next token, padding left out, in nats.

    Args:
        model: The model, perhaps compiled.
        blocks: Token ids, (batch, BLOCK).
        plan: Of which only the device matters; on CUDA the work is in bfloat16.
    """
    kind = torch.device(plan.device).type
    with torch.autocast(kind, dtype=torch.bfloat16, enabled=kind == "cuda"):
        logits = model(input_ids=blocks[:, :-1]).logits
    targets = blocks[:, 1:]
    pad = model.config.pad_token_id
    return torch.nn.functional.cross_entropy(
        logits.float().flatten(0, 1), targets.flatten(), ignore_index=pad
    )


@torch.no_grad()
def _held_out_loss(
    model: LlamaForCausalLM, tokenizer: Tokenizer, plan: Plan
) -> dict[str, float]:
    """Return the loss by kind of document, and of all, in nats per token."""
    kinds = defaultdict(list)
    stream = plan.seed + HELD_OUT_SEED
    for each in write_documents(plan.seed, stream, range(HELD_OUT_DOCUMENTS)):
        tokens = tokenizer.encode(as_text(each.turns), add_special_tokens=False)
        kinds["all"].append(tokens)
        kinds[each.kind].append(tokens)
    losses = {}
    for kind, documents in sorted(kinds.items()):
        blocks = torch.from_numpy(pack(documents, tokenizer.pad_token_id))
        losses[kind] = _mean_loss(model, blocks, plan)
    return losses


def _mean_loss(model: LlamaForCausalLM, blocks: Tensor, plan: Plan) -> float:
    """Return the loss over some blocks, each weighed by its tokens."""
    total, tokens = 0.0, 0
    for batch in torch.split(blocks, 64):
        weight = int((batch[:, 1:] != model.config.pad_token_id).sum())
        total += float(_loss(model, batch.long().to(plan.device), plan)) * weight
        tokens += weight
    return round(total / tokens, 4)


def _quiz(
    model: LlamaForCausalLM, tokenizer: Tokenizer, plan: Plan
) -> dict[str, float]:
    """Return the share of questions answered exactly, greedily, by skill."""
    world = make_world(plan.seed)
    shares = {}
    for name, ask in SKILLS.items():
        rng = Random(f"quiz/{plan.seed}/{name}")
        asked = [ask(rng, world) for _ in range(QUESTIONS)]
        said = _answers(model, tokenizer, [question for question, _ in asked])
        right = sum(a == b for a, (_, b) in zip(said, asked, strict=True))
        shares[name] = right / QUESTIONS
    return shares


def _answers(
    model: LlamaForCausalLM, tokenizer: Tokenizer, questions: list[str]
) -> list[str]:
    """Answer questions, each as the user's only turn."""
    texts = [as_text((question, ""))[: -len(END)] for question in questions]
    batch = tokenizer(
        texts, return_tensors="pt", padding=True, add_special_tokens=False
    ).to(model.device)
    generation = _generation(tokenizer)
    generation.max_new_tokens = ANSWER_TOKENS
    tokens = model.generate(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        generation_config=generation,
    )
    answers = tokens[:, batch["input_ids"].shape[1] :]
    return list(tokenizer.batch_decode(answers, skip_special_tokens=True))


def _generation(tokenizer: Tokenizer) -> GenerationConfig:
    """Return how to answer: greedily, until the turn or the text ends."""
    return GenerationConfig(
        do_sample=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=[
            tokenizer.convert_tokens_to_ids(END),
            tokenizer.eos_token_id,
        ],
        pad_token_id=tokenizer.pad_token_id,
    )


def _machine(device: str) -> str:
    """Name what the training ran on."""
    cuda = device.startswith("cuda")
    name = torch.cuda.get_device_name(device) if cuda else "CPU"
    return (
        f"{name}, Python {platform.python_version()}, torch {torch.__version__}, "
        f"transformers {transformers.__version__}"
    )


def _save(
    model: LlamaForCausalLM,
    tokenizer: Tokenizer,
    metrics: dict[str, Any],
    out: Path,
) -> None:
    """Save weights in bfloat16, configuration, metrics and card."""
    model.generation_config = _generation(tokenizer)
    model.to(torch.bfloat16).save_pretrained(out)
    (out / "chat_template.jinja").write_text(tokenizer.chat_template)
    (out / "special_tokens_map.json").unlink(missing_ok=True)  # transformers 4 alone
    (out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    write_card(metrics, out / "README.md")


if __name__ == "__main__":
    main()
