"""The figures that the article itself reports, in percent, to be put beside ours."""

from collections.abc import Iterator
from dataclasses import dataclass

SOURCE = (
    "github.com/dexmac221/progressive-cognitive, at commit d6cc3af, "
    "results/english/aggregate_results.json; seeds 42, 43, 44; 48 exact questions and "
    "50 of each other dimension a seed"
)

OUR_NAMES = {
    "base": ("base",),
    "flat": ("flat",),
    "dream": ("dream", "article", "progressive-svd"),
}
"""Names that our arms for the article's may bear; the first that was run counts."""

MEASURES = (
    "article.exact",
    "article.sense.strict",
    "article.sense.magnitude",
    "article.delegation.rate",
    "article.delegation.accuracy",
    "article.delegation.self_aware",
    "article.adversarial",
    "article.errors.sensible",
    "article.errors.catastrophic",
)
"""What the article measures, in the order of the rows below."""

ROWS = {
    ("Qwen2.5-1.5B", "base"): (
        *((9.0, 1.2), (55.3, 15.3), (67.3, 13.3), (94.0, 2.0), (92.0, 2.4)),
        *((55.3, 5.8), (28.7, 10.1), (48.7, 6.9), (9.1, 5.3)),
    ),
    ("Qwen2.5-1.5B", "flat"): (
        *((56.9, 6.4), (6.7, 2.3), (100.0, 0.0), (58.7, 4.6), (100.0, 0.0)),
        *((100.0, 0.0), (81.3, 2.3), (95.8, 7.2), (0.0, 0.0)),
    ),
    ("Qwen2.5-1.5B", "dream"): (
        *((69.4, 6.4), (60.7, 9.5), (100.0, 0.0), (100.0, 0.0), (100.0, 0.0)),
        *((58.7, 4.6), (84.0, 8.0), (82.0, 22.2), (0.0, 0.0)),
    ),
    ("Qwen2.5-3B", "base"): (
        *((9.7, 4.8), (26.0, 5.3), (52.7, 8.1), (94.7, 4.2), (100.0, 0.0)),
        *((64.0, 5.3), (38.0, 2.0), (23.8, 5.2), (36.8, 9.1)),
    ),
    ("Qwen2.5-3B", "flat"): (
        *((60.4, 7.5), (0.0, 0.0), (84.0, 4.0), (58.7, 4.6), (100.0, 0.0)),
        *((100.0, 0.0), (84.7, 1.2), (85.6, 17.1), (0.0, 0.0)),
    ),
    ("Qwen2.5-3B", "dream"): (
        *((56.3, 4.2), (64.7, 11.0), (100.0, 0.0), (85.3, 3.1), (100.0, 0.0)),
        *((73.3, 3.1), (34.0, 6.0), (56.5, 12.3), (41.3, 13.7)),
    ),
}
"""Mean and sample standard deviation over seeds of each measure, by base and arm."""


@dataclass(frozen=True, slots=True)
class Reported:
    """One figure of the article."""

    base: str
    arm: str
    measure: str
    """Ours that follows the same rule."""

    mean: float  # percent
    std: float  # percentage points, over seeds


def _all() -> Iterator[Reported]:
    """Yield every figure of the article."""
    for (base, arm), row in ROWS.items():
        for measure, (mean, std) in zip(MEASURES, row, strict=True):
            yield Reported(base, arm, measure, mean, std)


REPORTED = tuple(_all())
