"""Writes the model card of `builtin:nano` from what its pre-training measured."""

from pathlib import Path
from typing import Any

CARD = """\
---
license: apache-2.0
language: en
pipeline_tag: text-generation
---

# nano

The base model that comes with sleepcycle, known there as `builtin:nano`: \
{parameters:,} parameters, made so that the whole service can be seen at work on two \
CPU cores. It is there to be taught and to forget, not to be useful.

## How it was made

- Architecture: Llama, {layers} layers of width {hidden}, tied embeddings, 512 tokens \
of context, a byte-level BPE of 768 tokens in which every digit is one token.
- Text: {documents:,} documents written by `tools/nano_corpus.py` from a seed; nothing \
was taken from outside. All countries, persons and things in them are invented.
- Training: {steps:,} steps of {batch} blocks of 256 tokens ({tokens:,} tokens), \
{seconds:,.0f} s on {machine}.
- Again: `python -m tools.pretrain_nano --steps {steps} --documents {documents} \
--hidden {hidden} --layers {layers} --seed {seed} --out DIR`. The corpus comes out the \
same on every machine; the weights differ in their last bits between devices.

## Pre-training loss

Documents of the same kinds and the same world, written from another seed, in nats per \
token. Over all of them: **{all_loss:.4f}**.

| kind | loss |
|---|---:|
{losses}

## What it can do

Questions drawn afresh, asked as one user turn, answered greedily; only the exact \
answer counts. Kinds with few different questions have all been seen in training.

| skill | right |
|---|---:|
{shares}

## What it cannot do

It knows no fact of the real world beyond the names of months and weekdays and a few \
opposites, and no word outside its small vocabulary. It cannot reason, hold a \
conversation, or follow an instruction of a kind that is not in the table above.

## Format

    <|bos|><|user|>What is 2 + 3?<|end|><|assistant|>5<|end|>

Plain text stands between `<|bos|>` and `<|eos|>`. Licence: Apache-2.0.
"""


def write_card(metrics: dict[str, Any], file: Path) -> None:
    """Fill the card with the figures of one pre-training."""
    fields = {key: value for key, value in metrics.items() if key != "plan"}
    losses = [f"| {kind} | {loss:.4f} |" for kind, loss in metrics["loss"].items()]
    shares = [
        f"| {name} | {part:.0%} |" for name, part in metrics["exact_match"].items()
    ]
    file.write_text(
        CARD.format(
            **fields,
            **metrics["plan"],
            all_loss=metrics["loss"]["all"],
            losses="\n".join(losses),
            shares="\n".join(shares),
        )
    )
