"""The plain text of the pre-training: stories, counting, calendar, facts, notes."""

from collections.abc import Callable
from random import Random

from tools.nano_world import (
    COLOURS,
    MONTHS,
    NAMES,
    NOUNS,
    NUMBERS,
    OPPOSITES,
    PLACES,
    VERBS,
    WEEKDAYS,
    World,
)

COUNTED = ("apples", "books", "cards", "coins", "cups", "eggs", "pens", "shells")
Story = Callable[[Random, World], str]
ENDINGS = (
    "Then {who} went home.",
    "{who} was happy.",
    "It was a good day.",
    "In the evening {who} was tired and slept.",
    "{who} said thank you and smiled.",
)


def story(rng: Random, _: World) -> str:
    """Tell what two people did one day."""
    who, friend = rng.sample(NAMES, 2)
    thing, place, colour = _thing(rng), rng.choice(PLACES), rng.choice(COLOURS)
    verb, done = rng.choice(list(VERBS.items()))
    opening = rng.choice(
        (
            f"One day {who} went to the {place}.",
            f"On {rng.choice(WEEKDAYS)} {who} was at the {place}.",
            f"{who} and {friend} were friends. They played near the {place}.",
        )
    )
    middle = rng.choice(
        (
            f"{who} {done} a {colour} {thing}.",
            f"{who} wanted to {verb} a {thing}. The {thing} was {colour}.",
            f"There was a {colour} {thing}. {friend} {done} it.",
        )
    )
    talk = rng.choice(
        (
            f'"Look, a {thing}!" said {friend}.',
            f'{friend} asked, "What colour is it?" {who} said, "It is {colour}."',
            f'"Is this your {thing}?" asked {friend}. "Yes, it is," said {who}.',
        )
    )
    ending = rng.choice(ENDINGS).format(who=rng.choice((who, friend)))
    return " ".join((opening, middle, talk, ending))


def scene(rng: Random, _: World) -> str:
    """Describe things with sentences of one frame each."""
    lines = []
    for _index in range(rng.randint(2, 5)):
        pair = rng.choice(OPPOSITES).split()
        frames = (
            f"The {_thing(rng)} is {rng.choice(COLOURS)}.",
            f"The {_thing(rng)} is {pair[0]}, but the {_thing(rng)} is {pair[1]}.",
            f"{rng.choice(NAMES)} has a {rng.choice(COLOURS)} {_thing(rng)}.",
            f"There is a {_thing(rng)} near the {rng.choice(PLACES)}.",
            f"{rng.choice(NAMES)} does not have a {_thing(rng)}.",
        )
        lines.append(rng.choice(frames))
    return " ".join(lines)


def counting(rng: Random, _: World) -> str:
    """Count in numbers or in words, in steps."""
    if rng.random() < 0.4:
        start = rng.randrange(15)
        return ", ".join(NUMBERS[start : start + rng.randint(4, 12)]) + "."
    step = rng.choice((1, 1, 1, 2, 5, 10))
    start = rng.randrange(90)
    return ", ".join(str(start + step * n) for n in range(rng.randint(5, 15))) + "."


def holding(rng: Random, _: World) -> str:
    """Tell how a number of things grew or shrank."""
    who, friend = rng.sample(NAMES, 2)
    had, moved = rng.randint(2, 30), rng.randint(1, 20)
    things = rng.choice(COUNTED)
    if rng.random() < 0.5 or moved >= had:
        now = f"{friend} gave {who} {moved} more. Now {who} has {had + moved}."
    else:
        now = f"{who} gave {friend} {moved}. Now {who} has {had - moved}."
    return f"{who} had {had} {things}. {now}"


def calendar(rng: Random, _: World) -> str:
    """Say what comes after what in the week or the year."""
    names = rng.choice((MONTHS, WEEKDAYS))
    at, length = rng.randrange(len(names)), rng.randint(2, 6)
    run = [names[(at + n) % len(names)] for n in range(length)]
    frames = (
        f"After {run[0]} comes {run[1]}.",
        f"Before {run[1]} comes {run[0]}.",
        ", ".join(run) + ".",
    )
    return rng.choice(frames)


def almanac(rng: Random, world: World) -> str:
    """State facts of the invented world."""
    lines = []
    for _index in range(rng.randint(2, 4)):
        country, city = rng.choice(list(world.capitals.items()))
        person, job = rng.choice(list(world.jobs.items()))
        thing, colour = rng.choice(list(world.colours.items()))
        frames = (
            f"The capital of {country} is {city}.",
            f"{city} is the capital of {country}.",
            f"{person} is a {job}.",
            f"A {thing} is {colour}.",
        )
        lines.append(rng.choice(frames))
    return " ".join(lines)


def listing(rng: Random, _: World) -> str:
    """Write notes as people and programs do: with names, brackets and signs."""
    lines = [rng.choice(NOTES)(rng) for _ in range(rng.randint(2, 5))]
    return "\n".join(lines)


def _note(rng: Random) -> str:
    """Write a heading in capitals, or a step, with what belongs to it."""
    number, thing, place = rng.randint(1, 9), _thing(rng), rng.choice(PLACES)
    frames = (
        f"{thing.upper()}: {rng.choice(COLOURS)} ({number} of them)",
        f"{number}) {thing} - {place}",
        f"Step {number} - {thing.capitalize()}: {rng.choice(COLOURS).upper()}",
        f"* {thing} & {_thing(rng)}; see [{place}] #{number}",
    )
    return rng.choice(frames)


def _data(rng: Random) -> str:
    """Write a line of data."""
    name, thing = rng.choice(NAMES).lower(), _thing(rng)
    numbers = ", ".join(str(rng.randrange(100)) for _ in range(rng.randint(1, 4)))
    frames = (
        f"{name}_{thing} = [{numbers}]",
        f'{{"{thing}": {rng.randrange(100)}, "{name}": [{numbers}]}}',
        f"{name}@{thing}.org, {thing}/{name}~{rng.randrange(100)}.txt",
        f"{thing}({numbers}) -> {rng.randrange(100)}%",
        f"{name}['{thing}'] = '{rng.choice(COLOURS)}'; cost: ${rng.randrange(100)}",
    )
    return rng.choice(frames)


def _sum(rng: Random) -> str:
    """Work out a line of arithmetic."""
    a, b, c = (rng.randrange(20) for _ in range(3))
    frames = (
        f"{a} + {b} * {c} = {a} + {b * c} = {a + b * c}",
        f"({a} + {b}) - {c} = {a + b} - {c} = {a + b - c}",
        f"{a} * {b} = {a * b}",
        f"{a} - {b} = {a - b}",
        f"10^{c % 6} = {10 ** (c % 6)}",
    )
    return rng.choice(frames)


NOTES = (_note, _data, _sum)


def _thing(rng: Random) -> str:
    """Choose a thing."""
    return rng.choice(NOUNS)


STORIES: dict[str, Story] = {
    story_.__name__: story_
    for story_ in (story, scene, counting, holding, calendar, almanac, listing)
}
