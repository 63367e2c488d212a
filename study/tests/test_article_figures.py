"""The figures that the article reports."""

from sleepcycle_study.report.article_figures import MEASURES, OUR_NAMES, REPORTED


def test_every_base_arm_and_measure_is_there_once():
    found = {(r.base, r.arm, r.measure) for r in REPORTED}

    assert len(found) == len(REPORTED) == 2 * len(OUR_NAMES) * len(MEASURES)
    assert all(0 <= r.mean <= 100 and 0 <= r.std <= 50 for r in REPORTED)


def test_routing_adds_up():
    """
    Who delegates everything is aware of as much as should be delegated: what the
    flat arm, which routes without a fault, delegates.
    """
    found = {(r.base, r.arm, r.measure): r.mean for r in REPORTED}
    small = "Qwen2.5-1.5B"

    assert found[small, "dream", "article.delegation.rate"] == 100
    assert (
        found[small, "dream", "article.delegation.self_aware"]
        == found[small, "flat", "article.delegation.rate"]
    )
