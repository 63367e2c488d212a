"""The domains that can be taught and asked about, by name."""

from collections.abc import Mapping

from sleepcycle.errors import StudyError
from sleepcycle.study.arithmetic import Arithmetic
from sleepcycle.study.code import Code
from sleepcycle.study.domain import Domain
from sleepcycle.study.facts import Facts
from sleepcycle.study.logic import Logic

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
