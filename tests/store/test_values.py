"""Values that rows name."""

import pytest

from sleepcycle.errors import StoreError
from sleepcycle.records.version import VersionKind
from sleepcycle.store.values import one_known


def test_a_word_that_no_row_can_have_is_damage():
    """
    A flipped bit makes another word of it, which is no fault of ours.
    """
    assert one_known(VersionKind, "base") is VersionKind.BASE
    with pytest.raises(StoreError, match="got 'jase'; it is damaged, see: sleepcycle"):
        one_known(VersionKind, "jase")
