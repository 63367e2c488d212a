"""Whether a row is to be learned, and how much, as it says itself."""

from dataclasses import replace

from sleepcycle.errors import RowError
from sleepcycle.feed.keys import OFF, REJECTED, UNSUPPORTED, Fields, plain
from sleepcycle.records.content import Content, Conversation, Role

YES, NO = frozenset({"true", "1", "1.0"}), frozenset({"false", "0", "0.0"})
FINAL = {
    "channel": frozenset({"final"}),
    "recipient": frozenset({"all"}),
    "error": frozenset[str](),
}
"""What keys of an answer say, where they are there, of one that the user got."""

FAILED = frozenset(
    [
        "failed",
        "failure",
        "error",
        "errored",
        "aborted",
        "cancelled",
        "canceled",
        "interrupted",
        "incomplete",
        "in_progress",
    ]
)
"""What its status says of an answer that broke off."""

WORDS = frozenset({"true", "false"})
"""What a label that is no class says."""


def expect_wanted(fields: Fields, *, has_classes: bool) -> None:
    """Refuse a row that says that it is not to be learned.

    Args:
        fields: The row.
        has_classes: Whether its label may be the class that a text belongs to.

    Raises:
        RowError: `E_REJECTED`, or `E_UNSUPPORTED_KEY` for what is no truth value.
    """
    if (train := _said(fields, "train")) is not None and not is_true(train, "train"):
        raise RowError(REJECTED, "train is false: the row is not to be learned")
    label = _said(fields, "label")
    if has_classes and str(label).strip().lower() not in WORDS:
        fields.keep("label", label)
    elif label is not None and not is_true(label, "label"):
        raise RowError(REJECTED, "label is false: the answer is not to be learned")


def _said(fields: Fields, key: str) -> object:
    """Return the value of a key; None for an empty one, as a cell may be."""
    value: object = fields.take(key)
    return None if value == "" else value


def is_true(value: object, key: str) -> bool:
    """Read a truth value, however it is written.

    Raises:
        RowError: `E_UNSUPPORTED_KEY`.
    """
    written = str(value).strip().lower()
    if written in YES or written in NO:
        return written in YES
    raise RowError(
        UNSUPPORTED,
        f"expected {key} as true or false, got {written!r:.40}; or leave it out: "
        f"--ignore {key}",
    )


def expect_final(fields: Fields, key: str, value: object) -> None:
    """Refuse an answer that was not said to the user, or that failed.

    Raises:
        RowError: `E_UNSUPPORTED_KEY`.
    """
    name, said = plain(key), str(value).strip().lower()
    if name == "error" and said in OFF:
        return
    if name in FINAL and said not in FINAL[name]:
        wanted = " or ".join(sorted(FINAL[name])) or "none"
        raise fields.refusal(key, f"is {said!r:.40}, where an answer has {wanted}")
    if name == "status" and said in FAILED:
        raise fields.refusal(key, f"says that the answer is {said}")


def turn_weight(fields: Fields, role: Role) -> float:
    """Read how much an answer counts: by `weight`, or by `train`.

    Raises:
        RowError: `E_UNSUPPORTED_KEY`.
    """
    weight, train = _said(fields, "weight"), _said(fields, "train")
    number = 1.0 if weight is None else _number(weight, fields.where)
    if train is not None:
        is_learned = is_true(train, f"{fields.where}train")
        if weight is not None and is_learned != (number > 0):
            raise RowError(
                UNSUPPORTED,
                f"{fields.where}expected train and weight to agree, got "
                f"{str(is_learned).lower()} and {number:g}",
            )
        number = number if is_learned else 0.0
    if role is Role.ASSISTANT:
        return number
    if number and (weight is not None or train is not None):
        raise RowError(
            UNSUPPORTED,
            f"{fields.where}expected weight 0 (train false) or none on a turn of the "
            f"{role}, got {number:g}: the assistant alone is learned",
        )
    return 1.0


def _number(value: object, where: str = "") -> float:
    """Read a weight."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = -1
    if not 0 <= number <= 1:
        raise RowError(
            UNSUPPORTED,
            f"{where}expected weight as a number in [0, 1], got {value!r:.40}",
        )
    return number


def weighed(content: Content, fields: Fields) -> Content:
    """Give content the weight that its row has.

    Raises:
        RowError: `E_REJECTED`: the weight is 0, so there is nothing to learn.
    """
    given = _said(fields, "weight")
    if given is None:
        return content
    weight = _number(given)
    if weight == 0:
        raise RowError(REJECTED, "weight is 0: the row is not to be learned")
    if isinstance(content, Conversation):
        turns = (
            replace(turn, weight=turn.weight * weight)
            if turn.role is Role.ASSISTANT
            else turn
            for turn in content.messages
        )
        return replace(content, messages=tuple(turns))
    return replace(content, weight=weight)
