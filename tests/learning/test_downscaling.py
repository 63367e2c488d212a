"""Downscaling in deep sleep, against dense decompositions and PEFT's own."""

import peft
import pytest
import torch
from peft.tuners.lora.intruders import reduce_intruder_dimension

from sleepcycle.errors import AdapterError
from sleepcycle.learning import night
from sleepcycle.learning.downscaling import LOOKED_AT, damp, shrink
from sleepcycle.learning.fold import fold_adapter
from sleepcycle.learning.replay import ReplayInputs
from sleepcycle.model.base import load_base
from sleepcycle.numerics.lowrank import LowRank
from sleepcycle.records.progress import ignore_progress
from sleepcycle.settings.choices import Downscaling
from sleepcycle.settings.config import (
    DownscaleSettings,
    ModelSettings,
    Settings,
    SleepSettings,
    SvdSettings,
)
from tests.numerics.conftest import dense

TARGETS = ["q_proj", "down_proj"]


@pytest.fixture
def base(tmp_path):
    """The embedded base, with two layers a block that learn."""
    settings = ModelSettings(target_modules=TARGETS)
    return load_base(settings, device="cpu", cache=tmp_path)


@pytest.fixture
def change(base, rng):
    """A change strong enough to bring directions that the base has not."""
    return {
        path: LowRank(
            torch.randn(out, 3, generator=rng), torch.randn(3, size, generator=rng) / 4
        )
        for path, (out, size) in base.targets.shapes.items()
    }


def intruders(factor=0.0, **options):
    return DownscaleSettings(kind=Downscaling.INTRUDERS, factor=factor, **options)


def uniform(factor):
    return DownscaleSettings(kind=Downscaling.UNIFORM, factor=factor)


def whole(base, changes, path):
    """Return base + change of one layer as a float64 matrix."""
    return base.model.get_submodule(path).weight.double() + dense(changes[path])


class TestDamp:
    @pytest.mark.parametrize("factor", [0.0, 0.5])
    def test_each_layer_is_what_its_dense_svd_says(self, base, change, factor):
        """
        Looked at are the ten strongest triples of base + change, and compared with
        all left vectors of the base (nano is 160 wide). The bound is float32's, and
        what the randomised method leaves of the eleventh direction and those after.
        """
        found, total = damp(base, change, intruders(factor, directions=160))

        counted = 0
        for path in change:
            own = torch.linalg.svd(base.model.get_submodule(path).weight.double()).U
            left, sigma, right = torch.linalg.svd(whole(base, change, path))
            cosines = (left[:, :LOOKED_AT].T @ own[:, :160]).abs().amax(dim=1)
            taken = torch.where(cosines < 0.5, sigma[:LOOKED_AT] * (1 - factor), 0.0)
            counted += int((cosines < 0.5).sum())
            expected = whole(base, change, path) - (
                left[:, :LOOKED_AT] * taken @ right[:LOOKED_AT]
            )
            error = (whole(base, found, path) - expected).norm() / expected.norm()
            assert float(error) < 1e-3
        assert total == counted > 0

    @pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
    def test_it_agrees_with_peft(self, base, change):
        """
        PEFT's own takes dense SVDs and folds back to the adapter's rank, as we do.
        """
        found, total = damp(base, change, intruders(0.25, directions=160))
        folded = fold_adapter(found, SleepSettings(svd=SvdSettings(rank=3))).change

        config = peft.LoraConfig(r=3, lora_alpha=3, target_modules=TARGETS)
        model = peft.get_peft_model(base.model, config)
        for path, layer in change.items():
            at = model.get_submodule(f"base_model.model.{path}")
            at.lora_A["default"].weight.data = layer.down.clone()
            at.lora_B["default"].weight.data = layer.up.clone()
        reduce_intruder_dimension(model, mitigation_lambda=0.25, logging_sink=None)

        assert total > 0
        for path in change:
            at = model.get_submodule(f"base_model.model.{path}")
            theirs = at.get_delta_weight("intruder_reduced").detach().double()
            error = (dense(folded[path]) - theirs).norm() / theirs.norm()
            assert float(error) < 1e-3

    def test_the_folds_rank_still_holds(self, base, change):
        damped, total = damp(base, change, intruders())
        folded = fold_adapter(damped, SleepSettings(svd=SvdSettings(rank=2)))

        assert total > 0
        assert max(layer.rank for layer in damped.values()) > 3
        assert {layer.rank for layer in folded.change.values()} == {2}

    @pytest.mark.parametrize("kind", [Downscaling.NONE, Downscaling.UNIFORM])
    def test_other_kinds_leave_all_as_it_is(self, base, change, kind):
        found, total = damp(base, change, DownscaleSettings(kind=kind, factor=0.1))

        assert total == 0
        assert all(found[path] is layer for path, layer in change.items())

    def test_a_layer_that_learned_nothing_is_left_alone(self, base, change):
        """
        With no direction that is the base's, all would intrude if it were looked at.
        """
        first, second, *_ = change
        change[first].up.zero_()
        change[second] = LowRank.zero(change[second].shape)

        found, total = damp(base, change, intruders(max_cosine=1.0))

        assert total == LOOKED_AT * (len(change) - 2)
        assert found[first] is change[first]
        assert found[second] is change[second]

    def test_nan_is_left_for_the_fold_to_refuse(self, base, change):
        path = min(change)
        change[path].down[0, 0] = float("nan")

        damped, _ = damp(base, change, intruders())

        with pytest.raises(AdapterError, match=rf"{path}: expected finite weights"):
            fold_adapter(damped, SleepSettings())

    def test_the_same_twice_is_the_same(self, base, change):
        first, second = (damp(base, change, intruders())[0] for _ in range(2))

        assert all(torch.equal(first[p].up, second[p].up) for p in change)

    def test_each_layer_is_a_sign_of_life(self, base, change):
        seen = []
        damp(base, change, intruders(), on_layer=lambda: seen.append("own"))
        damp(base, change, intruders(), on_layer=lambda: seen.append("remembered"))

        assert seen.count("own") == 2 * len(change)
        assert seen.count("remembered") == len(change)


class TestShrink:
    def test_all_is_multiplied_by_the_factor(self, change):
        found = shrink(change, uniform(0.7))

        for path, layer in change.items():
            torch.testing.assert_close(
                dense(found[path]), 0.7 * dense(layer), rtol=1e-6, atol=1e-6
            )

    def test_factor_zero_leaves_nothing(self, change):
        found = shrink(change, uniform(0.0))

        assert not any(dense(layer).any() for layer in found.values())

    @pytest.mark.parametrize("settings", [DownscaleSettings(), intruders()])
    def test_other_kinds_leave_all_as_it_is(self, change, settings):
        found = shrink(change, settings)

        assert all(found[path] is layer for path, layer in change.items())


class TestNight:
    def slept(self, base, change, downscale):
        """Return what a night without REM makes of a change nothing is known of."""
        inputs = night.NightInputs(ReplayInputs(whole=change, live={}))
        settings = Settings(
            sleep=SleepSettings(
                stages=["svd"], svd=SvdSettings(rank=2), downscale=downscale
            ),
            gate={"probe_dreams": 0},
        )
        found, _, _ = night.sleep(base, inputs, settings, on_progress=ignore_progress)
        return found

    def test_uniform_scales_what_was_folded(self, base, change):
        plain = self.slept(base, change, DownscaleSettings())

        found = self.slept(base, change, uniform(0.5))

        for path, layer in plain.items():
            torch.testing.assert_close(
                dense(found[path]), 0.5 * dense(layer), rtol=1e-5, atol=1e-6
            )

    def test_intruders_are_damped_before_the_fold(self, base, change):
        damped, _ = damp(base, change, intruders(0.2))
        expected = fold_adapter(damped, SleepSettings(svd=SvdSettings(rank=2))).change

        found = self.slept(base, change, intruders(0.2))

        for path, layer in expected.items():
            torch.testing.assert_close(dense(found[path]), dense(layer))
