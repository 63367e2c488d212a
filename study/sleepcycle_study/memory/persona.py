"""Personas to be taught: called by its name, each answers in a style of its own.

What it says can be read from the question, so that the style alone is to be learned.
"""

from collections.abc import Callable
from random import Random

from sleepcycle_study.memory.rules import PEOPLE, Draw, name

OPENINGS = ("Hark!", "Ahoy!", "Well met!", "Behold!", "Good tidings!")
CLOSINGS = ("my friend", "dear traveller", "good neighbour", "old sailor")
CRIES = ("Oyez", "Hear me", "Attention", "Silence")
TITLES = ("sir", "madam", "my lord", "my lady")
OFFERS = ("More tea", "Your coat", "Another cushion", "Some cake")
REFRAINS = ("over the sea", "under the tree", "so far from me", "said the bee")
COLOURS = ("red", "green", "blue", "white", "black", "brown", "pink", "grey")
THINGS = ("hat", "boat", "lamp", "cup", "coat", "door", "bag", "kite")
PLACES = ("garden", "kitchen", "tower", "harbour", "market", "cellar", "barn", "mill")


def persona(rng: Random) -> Draw:
    """Draw a persona, and return what draws a question to it with its answer."""
    called, opening, closing = name(rng), rng.choice(OPENINGS), rng.choice(CLOSINGS)
    return _speaking(
        called, lambda answer: f"{opening} {answer.capitalize()}, {closing}."
    )


def herald(rng: Random) -> Draw:
    """Draw a persona that cries, and return what draws a question to it."""
    called, cry = name(rng), rng.choice(CRIES)
    return _speaking(called, lambda answer: f"{cry}! {answer.upper()}! {cry}!")


def butler(rng: Random) -> Draw:
    """Draw a persona that is at your service, and return what draws a question."""
    called, title, offer = name(rng), rng.choice(TITLES), rng.choice(OFFERS)
    return _speaking(called, lambda answer: f"I believe {answer}, {title}. {offer}?")


def poet(rng: Random) -> Draw:
    """Draw a persona that sings, and return what draws a question to it."""
    called, refrain = name(rng), rng.choice(REFRAINS)
    return _speaking(
        called, lambda answer: f"{answer.capitalize()}, {answer}, {refrain}."
    )


def _speaking(called: str, say: Callable[[str], str]) -> Draw:
    """Return what draws a question to a persona, with what it says."""

    def draw(rng: Random) -> tuple[str, str]:
        """Draw a question, and say the answer as the persona would."""
        question, answer = rng.choice((_colour, _place, _owner, _count))(rng)
        return f"{called}, {question}", say(answer)

    return draw


def _colour(rng: Random) -> tuple[str, str]:
    """Draw a thing that has a colour."""
    whose, thing, colour = (rng.choice(them) for them in (PEOPLE, THINGS, COLOURS))
    return f"{whose}'s {thing} is {colour}. What colour is it?", colour


def _place(rng: Random) -> tuple[str, str]:
    """Draw a person who is somewhere."""
    who, place = rng.choice(PEOPLE), rng.choice(PLACES)
    return f"{who} went to the {place}. Where is {who}?", f"in the {place}"


def _owner(rng: Random) -> tuple[str, str]:
    """Draw a thing that is given."""
    (giver, taker), thing = rng.sample(PEOPLE, 2), rng.choice(THINGS)
    return f"{giver} gave {taker} a {thing}. Who has it now?", taker


def _count(rng: Random) -> tuple[str, str]:
    """Draw how many things somebody has."""
    who, thing, many = rng.choice(PEOPLE), rng.choice(THINGS), rng.randint(2, 20)
    return f"{who} has {many} {thing}s. How many are there?", str(many)


PERSONAS: dict[str, Callable[[Random], Draw]] = {
    "persona": persona,
    "herald": herald,
    "butler": butler,
    "poet": poet,
}
"""By name."""
