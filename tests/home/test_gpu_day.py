"""A day and a night on a GPU, by CUDA graphs; what needs none is tested elsewhere."""

import json

import pytest
import torch

from sleepcycle.home.opening import create_home, open_home
from sleepcycle.settings.configfile import settings_from

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="a day on a GPU needs one"
)

STEPS = 60
SETTINGS = {
    "engine": {"reserve_mb": 0, "device": "cuda"},
    "wake": {"min_steps": STEPS, "max_steps": STEPS, "batch_size": 4},
    "sleep": {
        "stages": ["svd", "rem"],
        "rem": {"max_steps": STEPS, "batch_size": 2, "dream_tokens": 16},
    },
    "gate": {"probe_dreams": 4},
}


def fact(number):
    """Return an example as a line of JSON."""
    row = {"prompt": f"Who has lamp {number}?", "completion": f"Ann {number % 7}."}
    return json.dumps(row) + "\n"


@pytest.mark.parametrize("compiled", ["on", "off"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_two_days_are_lived(tmp_path, dtype, compiled):
    """
    The second is learned over a live version, and replays the first.
    """
    create_home(tmp_path / "home")
    model = {"dtype": dtype, "compile": compiled}
    home = open_home(
        tmp_path / "home", settings=settings_from(SETTINGS | {"model": model})
    )
    for day in range(2):
        rows = tmp_path / f"{day}.jsonl"
        rows.write_text("".join(map(fact, range(day * 40, day * 40 + 40))))
        home.feed(rows)

        woken = home.wake()
        slept = home.sleep()

        assert woken.report.loss_last < woken.report.loss_first
        assert slept.version.name == f"v{2 * day + 2}"
    assert home.ask("Who has lamp 3?", max_new_tokens=8).text
