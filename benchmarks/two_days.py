"""Two days on real data: AG News, then SST-2, on a small pretrained story model.

    python -m benchmarks.two_days --base MODEL --data OLORA --stories JSONL

After each step: accuracy by label ranking on test items of both tasks, held-out loss
as the gate measured it, and the loss on the stories that the base was pretrained on.
"""

import argparse
import gzip
import json
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sleepcycle.home import inference
from sleepcycle.home.home import Home
from sleepcycle.home.opening import create_home, open_home
from sleepcycle.model import adapters
from sleepcycle.model.base import Base
from sleepcycle.model.encode import Encoded, encode, encode_all
from sleepcycle.model.portable import load_sealed
from sleepcycle.model.score import nll
from sleepcycle.records.content import Completion, Text

TASKS = {"AG News": "TC/agnews", "SST-2": "SC/SST-2"}
MAX_CHARS = 240


@dataclass(frozen=True)
class Task:
    """One classification task as prompts and labels."""

    name: str
    train: Sequence[tuple[str, str]]
    test: Sequence[tuple[str, str]]

    @property
    def labels(self) -> list[str]:
        """Every answer there is."""
        return sorted({label for _, label in self.train})

    def write(self, file: Path) -> Path:
        """Write the training rows for `feed`."""
        rows = [{"prompt": p, "completion": label} for p, label in self.train]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return file


def read_task(name: str, folder: Path, train: int, test: int) -> Task:
    """Draw rows of a task; the test rows come from its own test file."""
    rng = random.Random(0)

    def draw(file: str, count: int) -> list[tuple[str, str]]:
        rows = json.loads(gzip.decompress((folder / file).read_bytes()))
        chosen = rng.sample(rows, count)
        return [
            (f"{row['sentence'][:MAX_CHARS]}\nanswer: ", row["label"].lower())
            for row in chosen
        ]

    return Task(name, draw("train.json.gz", train), draw("dev.json.gz", test))


def accuracy(base: Base, task: Task) -> float:
    """Return how often the right label has the lowest loss of all, in [0, 1]."""
    right = 0
    for prompt, label in task.test:
        losses = {
            choice: nll(base, [_question(prompt, choice, base)])[0]
            for choice in task.labels
        }
        right += min(losses, key=lambda choice: losses[choice]) == label
    return right / len(task.test)


def _question(prompt: str, choice: str, base: Base) -> Encoded:
    """Encode one possible answer."""
    [encoded] = encode(Completion(prompt, choice), base, prompt_weight=0)
    return encoded


class Board:
    """What is measured after each step."""

    def __init__(self, home: Home, tasks: Sequence[Task], stories: Path) -> None:
        self.home = home
        self.tasks = tasks
        self.base = inference.load(home.settings, home.paths, home.versions.base)
        rows = [json.loads(line) for line in stories.read_text().splitlines()[:100]]
        texts = [row if isinstance(row, str) else row["text"] for row in rows]
        self.stories = encode_all(map(Text, texts), self.base, prompt_weight=0)

    def take(self, step: str, name: str, held_out: str = "") -> None:
        """Measure one version and print its row."""
        folder = self.home.versions.folder(self.home.versions.get(name))
        with adapters.attached(self.base, "measured", load_sealed(folder)):
            scores = [accuracy(self.base, task) for task in self.tasks]
            nats, tokens = nll(self.base, self.stories)
        cells = [step, name, *(f"{score:.3f}" for score in scores)]
        print("| " + " | ".join([*cells, f"{nats / tokens:.3f}", held_out]) + " |")


def main() -> None:
    """Live the two days and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--base", "--data", "--stories"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--train", type=int, default=1600)
    parser.add_argument("--test", type=int, default=200)
    chosen = parser.parse_args()
    tasks = [
        read_task(name, chosen.data / folder, chosen.train, chosen.test)
        for name, folder in TASKS.items()
    ]
    with tempfile.TemporaryDirectory() as place:
        create_home(Path(place) / "home", base=str(chosen.base.absolute()))
        home = open_home(Path(place) / "home")
        board = Board(home, tasks, chosen.stories)
        names = " | ".join(TASKS)
        print(f"| after | version | {names} | stories, nats/token | held-out loss |")
        print("|---" * (len(TASKS) + 4) + "|")
        board.take("nothing", "v0")
        for task in tasks:
            home.feed(task.write(Path(place) / f"{task.name}.jsonl"))
            for step, run in (("wake", home.wake), ("sleep", home.sleep)):
                outcome = run()
                reason = outcome.report.verdict.reason
                board.take(f"{task.name}, {step}", outcome.version.name, reason)


if __name__ == "__main__":
    main()
