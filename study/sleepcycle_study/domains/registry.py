"""The domains that can be taught and asked about, by name."""

from collections.abc import Mapping

from sleepcycle_study.domains.arithmetic.arithmetic import Arithmetic
from sleepcycle_study.domains.code.code import Code
from sleepcycle_study.domains.domain import Domain
from sleepcycle_study.domains.facts.facts import Facts
from sleepcycle_study.domains.logic.logic import Logic
from sleepcycle_study.errors import StudyError

DOMAINS: Mapping[str, Domain] = {
    domain.name: domain for domain in (Arithmetic(), Logic(), Facts(), Code())
}


def domain_of(name: str) -> Domain:
    """Return a domain.

    Raises:
        StudyError: There is none of that name.
    """
    if name not in DOMAINS:
        known = ", ".join(DOMAINS)
        raise StudyError(f"expected one of the domains {known}, got {name!r}")
    return DOMAINS[name]
