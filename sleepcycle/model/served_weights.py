"""Versions side by side on one base: each can be made the one that computes.

Where memory allows, a version is the base's weights with its change added, kept beside
them, so that it decodes at the base's own speed and is switched to by pointers alone.
Elsewhere, as on a quantised base, it stays an adapter.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from sleepcycle.model import adapters
from sleepcycle.model.base import Base
from sleepcycle.model.merged import merged_copies
from sleepcycle.numerics.lowrank import LayerChanges

BARE = ""
"""Name of the base itself, which is always there."""


class ServedWeights:
    """The versions that a base can compute as; nothing else may be attached to it.

    Args:
        base: The base.
        copies: Whether weights may be kept beside the base's, where there is room.
    """

    def __init__(self, base: Base, *, copies: bool = True) -> None:
        self._base, self._copies = base, copies
        self._merged: dict[str, list[tuple[nn.Parameter, Tensor]]] = {BARE: []}
        self._attached: set[str] = set()
        self._own: list[tuple[nn.Parameter, Tensor]] = []
        """Of the weights that are replaced now, what they are in the base."""

        self._active = BARE

    @property
    def names(self) -> Sequence[str]:
        """All versions that are there, the base itself among them."""
        return [*self._merged, *self._attached]

    def add(self, name: str, changes: LayerChanges) -> None:
        """Hold a version; the bare base is active afterwards.

        Raises:
            AdapterError: It does not fit the base.
        """
        self.use(BARE)
        if not changes:
            self._merged[name] = []
            return
        try:
            adapters.attach(self._base, name, changes)
            adapters.activate(self._base, [name])
            copies = merged_copies(self._base) if self._copies else None
        except BaseException:
            adapters.remove(self._base, name)
            raise
        adapters.activate(self._base, [])
        if copies is None:
            self._attached.add(name)
            return
        self._merged[name] = list(copies)
        adapters.remove(self._base, name)
        if not self._attached:
            adapters.unwrap(self._base)

    def use(self, name: str) -> None:
        """Let one version compute, from now on.

        Raises:
            KeyError: It is not held.
        """
        if name == self._active:
            return
        copies = [] if name in self._attached else self._merged[name]
        for weight, data in self._own:
            weight.data = data
        self._own = [(weight, weight.data) for weight, _ in copies]
        for weight, data in copies:
            weight.data = data
        if self._attached:
            adapters.activate(self._base, [name] if name in self._attached else [])
        self._active = name

    def drop(self, name: str) -> None:
        """Hold a version no longer; the bare base is active afterwards."""
        self.use(BARE)
        self._merged.pop(name, None)
        if name in self._attached:
            self._attached.remove(name)
            adapters.remove(self._base, name)
