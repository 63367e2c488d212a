"""The chats about how things are written: signs, brackets, capitals, any character.

A character that no document has cannot be taught later: a LoRA leaves embeddings as
they are, and those of characters never met are all alike.
"""

from random import Random
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits, punctuation

from tools.nano_world import NOUNS, World, invented_name, invented_word

SIGNS = {
    "plus": "+", "minus": "-", "times": "*", "slash": "/", "backslash": "\\",
    "equals": "=", "less than": "<", "greater than": ">", "percent": "%",
    "and": "&", "at": "@", "hash": "#", "dollar": "$", "hat": "^", "tilde": "~",
    "underscore": "_", "bar": "|", "comma": ",", "full stop": ".", "colon": ":",
    "semicolon": ";", "question": "?", "exclamation": "!", "apostrophe": "'",
    "quote": '"', "backtick": "`",
}  # fmt: skip
PAIRS = {
    "round brackets": "()", "square brackets": "[]", "curly brackets": "{}",
    "angle brackets": "<>", "single quotes": "''", "double quotes": '""',
    "stars": "**", "bars": "||", "backticks": "``", "underscores": "__",
}  # fmt: skip
KEYBOARD = ascii_letters + digits + punctuation + " " * 9 + "\t\n"
ACCENTED = "àáâãäåæçèéêëìíîïñòóôõöøùúûüýßÀÈÉÌÒÙÄÖÜÑ€£°§¿¡«»"
PLANES = (
    *(range(0xA1, 0x800), range(0x800, 0xD800)),
    *(range(0xE000, 0x10000), range(0x10000, 0x110000)),
)
"""Characters that take two, three and four bytes; no halves of surrogate pairs."""

Exchange = tuple[str, str]  # what the user says, what the assistant answers


def capitals(rng: Random, _: World) -> Exchange:
    """Write words in capital letters, or in small ones."""
    words = " ".join(_word(rng) for _ in range(rng.randint(1, 3)))
    if rng.random() < 0.7:
        frames = ("Write {} in capital letters.", "In capitals: {}", "Shout: {}")
        return rng.choice(frames).format(words.lower()), words.upper()
    frames = ("Write {} in small letters.", "In small letters: {}")
    return rng.choice(frames).format(words.upper()), words.lower()


def enclose(rng: Random, _: World) -> Exchange:
    """Put something into brackets or quotes, or take it out."""
    called, (left, right) = rng.choice(list(PAIRS.items()))
    inner = rng.choice((_word(rng), str(rng.randrange(10_000)), some_capitals(rng)))
    outer = f"{left}{inner}{right}"
    if rng.random() < 0.7:
        frames = ("Put {} in {}.", "Write {} in {}.", "{}, with {} around it")
        return rng.choice(frames).format(inner, called), outer
    return f"Take this out of its {called}: {outer}", inner


def sign(rng: Random, _: World) -> Exchange:
    """Know the signs by their names."""
    called, written = rng.choice(list(SIGNS.items()))
    if rng.random() < 0.5:
        return f"What is this sign: {written}", called
    return rng.choice(("Write the sign {}.", "Which sign is {}?")).format(
        called
    ), written


def join(rng: Random, _: World) -> Exchange:
    """Write words or numbers with a sign between them."""
    between = rng.choice(punctuation)
    between = rng.choice((between, f" {between} "))
    parts = [
        rng.choice((_word(rng), str(rng.randrange(1_000))))
        for _ in range(rng.randint(2, 4))
    ]
    asked = f"Join {', '.join(parts)} with {between.strip()}"
    return (f"{asked} and spaces" if " " in between else asked), between.join(parts)


def some_signs(rng: Random) -> str:
    """Choose letters, digits and signs of the keyboard in a row, spaces in between."""
    pool = rng.choice((punctuation, KEYBOARD))
    return "".join(rng.choice(pool) for _ in range(rng.randint(1, 12))).strip() or "?"


def some_letters(rng: Random) -> str:
    """Choose letters that make no syllables, small, capital or mixed."""
    pool = rng.choice((ascii_lowercase, ascii_uppercase, ascii_letters))
    return "".join(rng.choice(pool) for _ in range(rng.randint(2, 8)))


def some_capitals(rng: Random) -> str:
    """Choose one to three words in capital letters."""
    return " ".join(_word(rng).upper() for _ in range(rng.randint(1, 3)))


def some_enclosed(rng: Random) -> str:
    """Choose words of which some stand in brackets or quotes, or before a colon."""
    frames = ("{} ({})", "{}: {}", "{} [{}]", '{} "{}"', "({}) {}", "{} = {}", "{}; {}")
    number = str(rng.randrange(10_000))
    parts = (_word(rng), rng.choice((_word(rng), number, some_capitals(rng))))
    return rng.choice(frames).format(*parts)


def from_anywhere(rng: Random) -> str:
    """Choose letters with accents, and characters of any script."""
    if rng.random() < 0.5:
        word = list(_word(rng))
        word[rng.randrange(len(word))] = rng.choice(ACCENTED)
        return "".join(word)
    codes = (rng.choice(rng.choice(PLANES)) for _ in range(rng.randint(1, 4)))
    return "".join(map(chr, codes))


def _word(rng: Random) -> str:
    """Choose a common word, or invent a word or name."""
    return rng.choice((rng.choice(NOUNS), invented_word(rng), invented_name(rng)))
