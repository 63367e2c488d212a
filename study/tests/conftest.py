"""What the study's tests share with the service's."""

import pytest

from sleepcycle.model.base import load_base
from sleepcycle.settings.config import ModelSettings
from sleepcycle_study.experiment import worker_pool
from tests.cli.conftest import cli, new_once  # noqa: F401 - fixtures
from tests.conftest import rng, shared_data  # noqa: F401 - fixtures
from tests.curricula.conftest import read  # noqa: F401 - a fixture
from tests.forked import context


@pytest.fixture
def forked(monkeypatch):
    """Fork the processes where it does not matter how they start: torch is loaded."""
    monkeypatch.setattr(worker_pool, "SPAWN", context())


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The built-in base."""
    cache = tmp_path_factory.mktemp("cache")
    return load_base(ModelSettings(), device="cpu", cache=cache)
