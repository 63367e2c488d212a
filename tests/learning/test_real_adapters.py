"""Consolidation of two real adapters, trained one after the other on GPT-2."""

import pytest
import torch

from sleepcycle.files.sealed import seal, verify
from sleepcycle.learning.fold import fold_adapter
from sleepcycle.model.base import Targets
from sleepcycle.model.foreign import read_foreign
from sleepcycle.model.portable import load_portable, write_portable
from sleepcycle.numerics.lowrank import compose_layers
from sleepcycle.records.version import BaseIdentity
from sleepcycle.settings.config import SleepSettings, SvdSettings
from tests.numerics.conftest import dense

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def both(shared_data):
    """The exact sum of the two: rank 16 in 24 layers."""
    folders = (
        shared_data / "adapters" / name for name in ("tigrinya_prev", "tigrinya")
    )
    return compose_layers(*(read_foreign(folder) for folder in folders))


@pytest.mark.parametrize(("rank", "kept"), [(8, 0.996), (4, 0.986)])
def test_half_the_rank_keeps_nearly_all(both, rank, kept):
    settings = SleepSettings(svd=SvdSettings(rank=rank))

    folded = fold_adapter(both, settings)

    assert folded.kept_energy == pytest.approx(kept, abs=5e-4)
    assert len(folded.change) == 36
    assert {change.rank for change in folded.change.values()} == {rank}


def test_no_rank_8_change_is_nearer(both):
    """
    Against the dense truncation in float64, on the layer with the most energy.
    """
    name = max(both, key=lambda layer: float(dense(both[layer]).norm()))
    whole = dense(both[name])
    up, sigma, down = torch.linalg.svd(whole, full_matrices=False)
    optimum = (up[:, :8] * sigma[:8]) @ down[:8]

    folded = fold_adapter({name: both[name]}, SleepSettings(svd=SvdSettings(rank=8)))

    error = (dense(folded.change[name]) - optimum).norm() / whole.norm()
    assert float(error) < 1e-5


def test_what_is_folded_is_sealed_and_comes_back(both, tmp_path):
    """
    The portable form, its manifest and its bytes, with nothing lost on the way.
    """
    targets = Targets({name: change.shape for name, change in both.items()}, True)
    folded = fold_adapter(both, SleepSettings(svd=SvdSettings(rank=8))).change
    stage = tmp_path / "stage"
    assert write_portable(stage, folded, BaseIdentity("gpt2", None, ""), targets) == 8

    (tmp_path / "versions").mkdir()
    sealed = seal(stage, tmp_path / "versions", "v0001")

    verify(sealed)
    back = load_portable(sealed)
    assert back.keys() == folded.keys()
    for name, change in folded.items():
        assert torch.equal(back[name].up, change.up)
        assert torch.equal(back[name].down, change.down)
