"""A stand-in for lm-eval: its calls that we make, on tasks that it can answer itself.

A task's file is JSON, which is YAML too, and its data are JSONL. `acc` is the share of
rows whose answer is 0, and so of the data alone; `nats` is what the model loses on the
rows' words, and so of its weights too.
"""

import json
from pathlib import Path
from statistics import fmean

import torch


def simple_evaluate(*, model, tasks, task_manager, limit, **_):
    """Score tasks."""
    loaded = task_manager.load(tasks)["tasks"]
    return {
        "results": {
            name: {"alias": name, **_scores(model, task.rows[:limit])}
            for name, task in loaded.items()
        },
        "higher_is_better": {name: {"acc": True, "nats": False} for name in loaded},
    }


def _scores(model, rows):
    return {
        "acc,none": fmean(row["answer"] == 0 for row in rows),
        "acc_stderr,none": "N/A",
        "nats,none": fmean(_nats(model, row["word"]) for row in rows),
        "odd,none": [],
    }


@torch.no_grad()
def _nats(model, word):
    ids = torch.tensor([model.tokenizer(word)["input_ids"]])
    return -float(model.model(ids).logits.log_softmax(-1)[0, -1, ids[0, -1]])


def read_rows(path):
    """Return the rows of a file in the current folder."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()]
