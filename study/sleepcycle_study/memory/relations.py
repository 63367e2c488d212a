"""Facts of ten relations, each taught in eight wordings and asked in a ninth.

As with capitals and keepers, the names are invented, and nothing but the relation tells
which of its facts a question asks for.
"""

from sleepcycle_study.memory.lessons import COLOURS, LessonFacts, one_of

TRADES = one_of(
    *("baker", "smith", "tailor", "sailor", "farmer", "painter", "weaver", "miner")
)
PETS = one_of("cat", "dog", "goat", "parrot", "rabbit", "horse", "turtle", "mouse")
DISHES = one_of("soup", "cake", "rice", "fish", "cheese", "bread", "beans", "pie")
INSTRUMENTS = one_of(
    *("flute", "drum", "harp", "violin", "horn", "piano", "guitar", "trumpet")
)
MEANINGS = one_of(
    *("bread", "stone", "river", "horse", "night", "winter", "bridge", "garden"),
    *("apple", "silver", "mother", "forest", "window", "thunder", "island", "candle"),
)

RELATIONS = {
    "rivers": LessonFacts(
        "On which river does the town of {} lie?",
        (
            "Which river flows through {}?",
            "Name the river of the town {}.",
            "The river through {} is",
            "What river runs past {}?",
            "Tell me the river at {}.",
            "{} stands on the banks of which river?",
            "River of {}?",
            "Say which river waters {}.",
        ),
    ),
    "trades": LessonFacts(
        "What does {} do for a living?",
        (
            "What is {}'s trade?",
            "Name the trade of {}.",
            "{} works as a",
            "Which job does {} have?",
            "Tell me how {} earns money.",
            "What work does {} do?",
            "Trade of {}?",
            "Say what {}'s profession is.",
        ),
        TRADES,
    ),
    "years": LessonFacts(
        "In what year was the {} comet seen?",
        (
            "When did the {} comet come?",
            "Name the year of the {} comet.",
            "The {} comet was seen in",
            "Which year had the {} comet?",
            "Tell me when the {} comet appeared.",
            "The {} comet shone in which year?",
            "Year of the {} comet?",
            "Say when people saw the {} comet.",
        ),
        lambda rng: str(rng.randint(1500, 1999)),
    ),
    "flags": LessonFacts(
        "What colour is the flag of {}?",
        (
            "Which colour has the flag of {}?",
            "Name the colour of {}'s flag.",
            "The flag of {} is",
            "Tell me the flag colour of {}.",
            "{} flies a flag of which colour?",
            "How is the flag of {} coloured?",
            "Flag of {}?",
            "Say what colour {} put on its flag.",
        ),
        COLOURS,
    ),
    "words": LessonFacts(
        "What does the word {} mean?",
        (
            "Translate {} into English.",
            "{} means",
            "Give the English for {}.",
            "What is {} in English?",
            "Tell me the meaning of {}.",
            "{} is the old word for what?",
            "Meaning of {}?",
            "Say {} in English.",
        ),
        MEANINGS,
    ),
    "pets": LessonFacts(
        "What kind of pet does {} have?",
        (
            "Which animal lives with {}?",
            "Name the pet of {}.",
            "The pet of {} is a",
            "What animal does {} keep?",
            "Tell me which pet {} feeds.",
            "{} is the owner of which animal?",
            "Pet of {}?",
            "Say what animal {} has at home.",
        ),
        PETS,
    ),
    "tongues": LessonFacts(
        "What language do people speak in {}?",
        (
            "Which language is spoken in {}?",
            "Name the language of {}.",
            "The language of {} is",
            "What tongue do they speak in {}?",
            "Tell me the language they use in {}.",
            "{} speaks which language?",
            "Language of {}?",
            "Say in which tongue {} writes its laws.",
        ),
    ),
    "founders": LessonFacts(
        "Who built the village of {}?",
        (
            "Who founded {}?",
            "Name the founder of {}.",
            "{} was founded by",
            "Which person began {}?",
            "Tell me who settled {} first.",
            "Who laid the first stone of {}?",
            "Founder of {}?",
            "Say who started the village {}.",
        ),
    ),
    "instruments": LessonFacts(
        "Which instrument does {} play?",
        (
            "What does {} make music with?",
            "Name the instrument of {}.",
            "{} plays the",
            "What does {} play in the band?",
            "Tell me what {} practises on.",
            "On what does {} play songs?",
            "Instrument of {}?",
            "Say what {} learned to play.",
        ),
        INSTRUMENTS,
    ),
    "dishes": LessonFacts(
        "What do people in {} eat at feasts?",
        (
            "Which dish is {} known for?",
            "Name the favourite food of {}.",
            "The dish of {} is",
            "What do they cook in {}?",
            "Tell me what {} serves its guests.",
            "What is on every table in {}?",
            "Dish of {}?",
            "Say what food {} loves most.",
        ),
        DISHES,
    ),
}
"""By name."""
