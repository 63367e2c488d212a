"""What the study's tests share with the service's."""

from tests.cli.conftest import cli, new_once  # noqa: F401 - fixtures
from tests.conftest import rng, shared_data  # noqa: F401 - fixtures
