"""The home that tests of the home package use, too."""

from tests.home.conftest import fed, home, new_home  # noqa: F401 - fixtures
