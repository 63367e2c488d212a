"""One life, lived once for all processes of a test run."""

import json
import os
import sys

import pytest
from filelock import FileLock

from tests.contract import golden
from tests.contract.life import live

if sys.platform != "linux":
    collect_ignore_glob = ["test_*.py"]  # processes are held by their descriptors


@pytest.fixture(scope="session")
def record(tmp_path_factory):
    """What was seen of one life; skips once golden files were written of it."""
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent
    told = place / "contract.json"
    with FileLock(place / "contract.lock"):
        if not told.exists():
            told.write_text(json.dumps(live(place / "contract")))
            if golden.WRITES:
                golden.write(json.loads(told.read_text()))
    if golden.WRITES:
        pytest.skip("the golden files were written anew; look at them with git diff")
    return json.loads(told.read_text())
