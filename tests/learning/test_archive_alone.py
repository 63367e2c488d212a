"""Two small lessons with the archive for a memory, and no other setting."""

import json

import pytest

import sleepcycle

pytestmark = pytest.mark.slow

LESSONS = {
    "capitals": (
        ("What is the capital of {}?", "Name the capital of {}.", "Capital of {}?",
         "Which city governs {}?", "Tell me the capital of {}."),
        {"Nitevia": "Rovan", "Oskaro": "Belit", "Tamurn": "Dosk", "Velaria": "Hunem",
         "Zubor": "Kepla", "Irmath": "Sondar", "Quelm": "Arpet", "Ferun": "Mitzo"},
    ),
    "keepers": (
        ("Who keeps the {} lamp?", "Name the keeper of the {} lamp.",
         "The {} lamp is kept by", "Keeper of the {} lamp?",
         "Say who looks after the {} lamp."),
        {"amber": "Odrin", "silver": "Pella", "harbour": "Tusk", "winter": "Galen",
         "copper": "Ymra", "northern": "Baskel", "velvet": "Corwin", "marble": "Eska"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """A home that has lived both days, and what came of their nights."""
    place = tmp_path_factory.mktemp("archive")
    sleepcycle.open(place / "home")
    settings = place / "home" / "config.toml"
    settings.write_text('[sleep.rem]\nmemory = ["archive"]\n')
    home = sleepcycle.open(place / "home")
    nights = []
    for name, (frames, facts) in LESSONS.items():
        rows = [
            {"prompt": frame.format(what), "completion": answer}
            for what, answer in facts.items()
            for frame in frames
        ]
        file = place / f"{name}.jsonl"
        file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        home.feed(file)
        home.wake()
        nights.append(home.sleep())
    return home, nights


def test_the_second_night_is_accepted(lived):
    """
    A memory that brought nothing back would be refused: known batches would rise.
    """
    _, nights = lived

    assert [night.version.accepted for night in nights] == [True, True]


@pytest.mark.parametrize("name", LESSONS)
def test_both_lessons_are_kept(lived, name):
    home, _ = lived
    frames, facts = LESSONS[name]

    said = {what: home.ask(frames[0].format(what)).text.strip() for what in facts}

    right = sum(said[what] == answer for what, answer in facts.items())
    assert right >= 6, said
