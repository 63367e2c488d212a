"""Alerts: sentences about what needs a look, each until its cause is gone."""

from loguru import logger

from sleepcycle.errors import RunError
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.disk_space import expect_room
from sleepcycle.settings.config import EngineSettings

CONFIG, CURRICULUM, PHASE, ROOM = "config", "curriculum", "phase", "room"
"""What the sentences are about."""


class Alerts:
    """Sentences about what needs a look, at most one a subject."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def show(self, subject: str, text: str | None) -> None:
        """Show a sentence until it is taken back with None."""
        others = {key: said for key, said in self._said.items() if key != subject}
        self._said = others if text is None else {**others, subject: text}

    def shows(self, subject: str) -> bool:
        """Return whether there is a sentence about a subject."""
        return subject in self._said

    def text(self, first: str | None) -> str | None:
        """Return all sentences as one, after another; None where there is none."""
        said = [text for text in (first, *self._said.values()) if text]
        return "; ".join(said) or None

    def has_room(self, paths: HomePaths, settings: EngineSettings) -> bool:
        """Return whether the disk has room for a run; where not, show an alert."""
        try:
            expect_room(paths, settings)
        except RunError as error:
            if not self.shows(ROOM):
                logger.warning("no run begins: {error}", error=str(error))
            self.show(ROOM, f"no run begins: {error}")
            return False
        self.show(ROOM, None)
        return True
