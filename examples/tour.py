"""A tour of the Python interface: one day, one night, and back again.

    python examples/tour.py

It makes a home in a temporary place, with the small model that the package carries,
and leaves nothing behind. About half a minute on two CPU cores.
"""

import json
import tempfile
from itertools import islice
from pathlib import Path

import sleepcycle
from sleepcycle.home.home import Home

LESSON = Path(__file__).parent / "lessons" / "capitals.jsonl"
QUESTIONS = LESSON.with_suffix(".questions.jsonl")
ASKED = 3


def main() -> None:
    """Live one day and one night in a new home, then go back to the bare base."""
    with tempfile.TemporaryDirectory(prefix="sleepcycle-tour-") as place:
        home = sleepcycle.open(Path(place) / "home")
        by_day(home)
        by_night(home)
        look(home)
        go_back(home)


def by_day(home: Home) -> None:
    """Feed a lesson and learn it; what is live does not know it yet."""
    fed = home.feed(LESSON)
    print(f"fed {fed.accepted} of {fed.lines} rows, {fed.held_out} of them held out")
    woken = home.wake()
    print(f"woke as {woken.version.name}: {woken.report.verdict.reason}")
    now = home.status()
    print(f"live is {now.live}, day is {now.day}, {now.counts.known} examples known")
    ask(home, "live")
    ask(home, "day")


def by_night(home: Home) -> None:
    """Fold the day into one small adapter, and let the gate decide."""
    slept = home.sleep()
    word = "accepted" if slept.version.accepted else "rejected"
    print(f"slept as {slept.version.name}, {word}: {slept.report.verdict.reason}")
    ask(home, "live")


def look(home: Home) -> None:
    """Show the versions, and how far the night moved from the day."""
    for listed in home.versions.listing():
        names = ", ".join(listed.aliases) or "no alias"
        print(f"{listed.version.name} is a {listed.version.kind} version, {names}")
    night = home.versions.diff("v1", "live")
    furthest = max(layer.relative_distance for layer in night.layers.values())
    print(f"no layer moved by more than {furthest:.1e} of its norm")


def go_back(home: Home) -> None:
    """Make the version before live again; nothing is deleted."""
    switch = home.rollback()
    print(f"rolled back to {switch.live}, {switch.orphaned} examples orphaned")
    ask(home, "live")
    ask(home, switch.previous)


def ask(home: Home, version: str) -> None:
    """Ask a version what the lesson taught in other words, and print its answers."""
    with QUESTIONS.open(encoding="utf-8") as file:
        questions = [json.loads(line) for line in islice(file, ASKED)]
    for question in questions:
        said = home.ask(question["prompt"], version=version, max_new_tokens=16)
        verdict = "right" if said.text.strip() == question["answer"] else "wrong"
        print(f"  {said.version} {verdict}: {question['prompt']} {said.text}")


if __name__ == "__main__":
    main()
