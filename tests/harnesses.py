"""Tasks of lm-evaluation-harness for tests, and a stand-in for the library."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1] / "examples" / "harness"
FAKES = Path(__file__).parent / "fakes"
needs_library = pytest.mark.skipif(
    find_spec("lm_eval") is None, reason="the extra `eval` is not installed"
)
needs_none = pytest.mark.skipif(
    find_spec("lm_eval") is not None, reason="the extra `eval` is installed"
)


def use_stand_in(patch):
    """Let this process, and those that it starts, find the stand-in for lm-eval."""
    patch.syspath_prepend(FAKES)
    patch.setenv("PYTHONPATH", str(FAKES))


def write_task(folder, name="words", answers=(0, 1, 0, 0), **config):
    """Write a task and its data into a folder, and return the task's file."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"word": f"word {i}", "answer": a} for i, a in enumerate(answers)]
    (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    whole = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": f"{name}.jsonl"}},
    }
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(whole | config))
    return path
