"""What several tests share."""

import gc
from pathlib import Path

import pytest
import torch

from tests.forked import forked_workers

gc.disable()  # while modules load and tests are collected: nothing of it is garbage

SHARED = Path(__file__).parents[2] / "shared" / "data"


def pytest_collection_finish():
    """Take what is there before the first test out of what is collected later.

    Every training ends with a collection, which would go through all tests there are.
    """
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture
def rng():
    """A seeded generator of random numbers."""
    return torch.Generator().manual_seed(0)


@pytest.fixture
def workers_forked():
    """Workers that a test starts are forked, and have torch at once."""
    with forked_workers():
        yield


@pytest.fixture(scope="session")
def shared_data():
    """Real models and data beside the project; skips where they are absent."""
    if not SHARED.is_dir():
        pytest.skip("the real models and data are not beside the project")
    return SHARED
