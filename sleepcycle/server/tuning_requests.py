"""What may be asked of a job of fine-tuning; what is not done is refused by name."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from sleepcycle.errors import CaptureError, TuningError
from sleepcycle.records.captured import checked_metadata

AUTO = "auto"
SETTINGS = {
    "n_epochs": "wake.epochs",
    "batch_size": "wake.batch_size",
    "learning_rate_multiplier": "wake.lr_scale",
}
"""Where a home says what a request says elsewhere."""

UNDONE = {
    "suffix": "name the version by an alias: sleepcycle versions alias",
    "seed": "set wake.seed in the home's config.toml",
    "validation_file": "a part of each batch is held out: feed.held_out_share",
    "integrations": "see what a version learned: sleepcycle versions show",
}
"""Keys that may be null or empty alone, and what to do instead."""


class JobRequest(BaseModel):
    """A job, as OpenAI's clients ask for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    training_file: str
    hyperparameters: dict[str, Any] | None = None
    method: dict[str, Any] | None = None
    metadata: dict[str, str] | None = None
    suffix: str | None = None
    seed: int | None = None
    validation_file: str | None = None
    integrations: list[dict[str, Any]] | None = None

    def expect_done(self) -> None:
        """Refuse what would be left out.

        Raises:
            TuningError: It asks for what the home's settings say, or has more
                metadata than OpenAI allows.
        """
        for name, instead in UNDONE.items():
            if getattr(self, name) not in (None, "", []):
                raise _undone(name, instead)
        _expect_auto(self.hyperparameters or {}, "hyperparameters")
        if self.method is not None:
            _expect_supervised(self.method)
        self.pairs()

    def pairs(self) -> dict[str, str]:
        """Return the metadata.

        Raises:
            TuningError: It is more than OpenAI allows.
        """
        try:
            return checked_metadata(self.metadata or {})
        except CaptureError as error:
            raise TuningError(str(error), param="metadata") from error


def _expect_supervised(method: dict[str, Any]) -> None:
    """Refuse a method that is not done."""
    if method.get("type") != "supervised" or method.keys() - {"type", "supervised"}:
        said = str(method.get("type"))[:80]
        raise _undone("method", f"supervised is done, and not {said!r}")
    own = method.get("supervised") or {}
    if not isinstance(own, dict) or own.keys() - {"hyperparameters"}:
        raise _undone("method.supervised", "it has hyperparameters alone")
    place = "method.supervised.hyperparameters"
    found = own.get("hyperparameters") or {}
    if not isinstance(found, dict):
        raise _undone(place, "an object is expected")
    _expect_auto(found, place)


def _expect_auto(found: dict[str, Any], place: str) -> None:
    """Refuse numbers that the home's settings say."""
    for name, value in found.items():
        if name not in SETTINGS:
            raise _undone(f"{place}.{name[:80]}", f"known are {', '.join(SETTINGS)}")
        if value is not None and value != AUTO:
            raise _undone(f"{place}.{name}", f"set {SETTINGS[name]} in config.toml")


def _undone(param: str, instead: str) -> TuningError:
    """Return the error for what is not done."""
    return TuningError(
        f"expected no {param} but 'auto' or null, which a job cannot choose; {instead}",
        param=param,
        code="unsupported_parameter",
    )
