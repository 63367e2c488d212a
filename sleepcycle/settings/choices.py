"""The words that settings choose from."""

from enum import StrEnum


class Compression(StrEnum):
    """How deep sleep makes the adapter small."""

    SVD = "svd"
    MAGNITUDE = "magnitude"
    NONE = "none"


class RankPolicy(StrEnum):
    """How many directions each layer keeps."""

    FIXED = "fixed"
    ENERGY = "energy"
    BUDGET = "budget"


class Stage(StrEnum):
    """What a night does."""

    SVD = "svd"
    REM = "rem"


class Memory(StrEnum):
    """Where a night finds what was learned before."""

    STORE = "store"
    ARCHIVE = "archive"
    LAST = "last"


class Weighting(StrEnum):
    """What makes a direction strong."""

    PLAIN = "plain"
    ACTIVATIONS = "activations"


class Reduction(StrEnum):
    """What the loss of a batch is the mean of."""

    TOKEN = "token"
    EXAMPLE = "example"
    SQRT = "sqrt"


class Weekday(StrEnum):
    """A day of the week, Monday first."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class Downscaling(StrEnum):
    """What deep sleep weakens of the change it folds."""

    NONE = "none"
    UNIFORM = "uniform"
    INTRUDERS = "intruders"


class Tool(StrEnum):
    """What answers the calls that a model writes in its answer."""

    NONE = "none"
    CALCULATOR = "calculator"


class Private(StrEnum):
    """What is taken out of a conversation before it is kept."""

    EMAIL = "email"
    PHONE = "phone"
    CARD = "card"
