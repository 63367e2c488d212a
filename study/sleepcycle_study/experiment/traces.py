"""What a run leaves to look at: how each phase was learned, and what a fold did."""

from collections.abc import Sequence
from itertools import zip_longest
from statistics import fmean

from sleepcycle.records.reports import SleepReport
from sleepcycle.settings.choices import Compression
from sleepcycle.settings.config import Settings
from sleepcycle_study.experiment.results import Curve, Fold

POINTS = 50  # of a learning curve


def curve(phase: str, losses: Sequence[tuple[int, float]], before: int) -> Curve:
    """Thin a learning curve out: each point is the mean of the steps up to it."""
    size = max(1, -(-len(losses) // POINTS))
    groups = [losses[i : i + size] for i in range(0, len(losses), size)]
    return Curve(
        phase,
        tuple(
            (before + group[-1][0], fmean(loss for _, loss in group))
            for group in groups
        ),
    )


def fold(phase: str, report: SleepReport, settings: Settings) -> Fold:
    """Return what a fold did, as means over the layers."""
    is_svd = settings.sleep.compression is Compression.SVD
    before = [layer.spectrum for layer in report.layers]
    after = [layer.spectrum[: layer.rank] for layer in report.layers]
    return Fold(
        phase,
        report.kept_energy,
        report.rank,
        _mean(before),
        _mean(after) if is_svd else (),
    )


def _mean(spectra: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Return mean singular values; a layer that has fewer counts as zero there."""
    return tuple(fmean(values) for values in zip_longest(*spectra, fillvalue=0.0))
