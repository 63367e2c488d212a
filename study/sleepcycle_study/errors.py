"""The study's own exception; all others are the service's."""

from sleepcycle.errors import SleepcycleError


class StudyError(SleepcycleError, ValueError):
    """A study's plan, runs or figures are wrong."""
