"""Weight changes kept as two factors: their exact sum, and their nearest small rank.

The dense product is never formed. Formulas and sources are in docs/explanation/math.md.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sleepcycle.errors import AdapterError, RankError

# Directions weaker than this share of the strongest are rounding: the factors are
# float32, and squaring them in float64 loses half of its digits.
NOISE = torch.finfo(torch.float32).eps


@dataclass(frozen=True, eq=False)
class LowRank:
    """One layer's weight change, kept as its two factors: dense = up @ down.

    Raises:
        RankError: The factors do not share their inner width.
    """

    up: Float[Tensor, "out width"]
    down: Float[Tensor, "width_down in"]

    def __post_init__(self) -> None:
        if self.up.shape[1] != self.down.shape[0]:
            raise RankError(
                "expected factors that share their inner width, got up "
                f"{tuple(self.up.shape)} and down {tuple(self.down.shape)}"
            )

    @classmethod
    def zero(cls, shape: tuple[int, int]) -> "LowRank":
        """Return the change of rank 0 that changes nothing, of shape (out, in)."""
        out, size = shape
        return cls(torch.zeros(out, 0), torch.zeros(0, size))

    @property
    def rank(self) -> int:
        """Inner width: the most directions that the change can have."""
        return self.up.shape[1]

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in) of the dense change."""
        return self.up.shape[0], self.down.shape[1]


LayerChanges = Mapping[str, LowRank]
"""Changes by the path of their layer, such as `model.layers.0.self_attn.q_proj`."""

Moments = Mapping[str, Float[Tensor, "width width"]]
"""By layer, the mean of (down x)(down x).T over what the layer reads."""


@dataclass(frozen=True, eq=False)
class Decomposition:
    """The directions of a change, strongest first, and how its factors mix into them.

    up @ mix_up has orthonormal columns, mix_down @ down rows of length 1; the change
    is the sum of their products, each times its `length`. Directions of no strength
    are zero in both.
    """

    change: LowRank
    mix_up: Float[Tensor, "width k"]
    sigma: Float[Tensor, " k"]
    """Strength in float64: the singular values, or with moments the root mean square
    of what each direction writes."""

    mix_down: Float[Tensor, "k width"]
    length: Float[Tensor, " k"]
    """Frobenius norm of each direction's part; without moments it is `sigma`."""

    @property
    def rank(self) -> int:
        """How many directions are stronger than rounding."""
        if self.sigma.numel() == 0:
            return 0
        return int((self.sigma > NOISE * self.sigma[0]).sum())

    def keep(self, rank: int) -> LowRank:
        """Return the nearest change of that rank, in float32.

        Nearest in Frobenius norm (Eckart and Young, 1936, doi:10.1007/BF02288367), or
        with moments in the mean square of what is written. The root of each length
        goes into both factors, so that neither grows. Signs are fixed by the sum of
        each left vector, so that equal changes give equal factors.

        Args:
            rank: Directions to keep, from 0 to all.

        Raises:
            RankError: There are not so many.
        """
        if not 0 <= rank <= len(self.sigma):
            raise RankError(f"rank must be in 0..{len(self.sigma)}, got {rank}")
        root = self.length[:rank].sqrt()
        up = self.change.up.double() @ (self.mix_up[:, :rank] * root)
        down = (root[:, None] * self.mix_down[:rank]) @ self.change.down.double()
        sign = torch.where(up.sum(dim=0) < 0, -1.0, 1.0)
        return LowRank((up * sign).float(), (sign[:, None] * down).float())


def compose(changes: Sequence[LowRank]) -> LowRank:
    """Add changes of one layer exactly, by putting their factors side by side.

    Adding or averaging the factors themselves would add cross terms, which is
    another change altogether.

    Raises:
        RankError: They are not of one shape, or there is none.
    """
    shapes = sorted({change.shape for change in changes})
    if len(shapes) != 1:
        raise RankError(f"expected changes of one shape, got {shapes}")
    up = torch.cat([change.up for change in changes], dim=1)
    return LowRank(up, torch.cat([change.down for change in changes]))


def compose_layers(*adapters: LayerChanges) -> dict[str, LowRank]:
    """Add whole adapters exactly, layer by layer; a layer may be in some of them.

    Columns keep the order of the adapters.
    """
    layers = sorted({name for adapter in adapters for name in adapter})
    return {
        name: compose([adapter[name] for adapter in adapters if name in adapter])
        for name in layers
    }


def pad(change: LowRank, width: int) -> LowRank:
    """Widen the factors with zeros, which changes nothing in their product.

    Raises:
        RankError: They are wider already.
    """
    missing = width - change.rank
    if missing < 0:
        raise RankError(f"cannot pad a change of width {change.rank} to {width}")
    up = torch.nn.functional.pad(change.up, (0, missing))
    return LowRank(up, torch.nn.functional.pad(change.down, (0, 0, 0, missing)))


def trim(changes: LayerChanges) -> dict[str, LowRank]:
    """Drop the last directions that are zero in every layer, such as padding.

    What is left has one width in all layers if it had before.
    """
    width = max((_used(change) for change in changes.values()), default=0)
    return {
        name: LowRank(change.up[:, :width], change.down[:width])
        for name, change in changes.items()
    }


def decompose(
    changes: LayerChanges, moments: Moments | None = None
) -> dict[str, Decomposition]:
    """Find the directions of every layer's change and their strength.

    With the Gram matrices of both factors, up.T @ up = V D V.T and likewise for
    down, the singular values of up @ down are those of the small matrix
    (D_up^½ V_up.T)(D_down^½ V_down.T).T. All small matrices of one width go through
    one batched call, in float64; the factors are only read.

    With the second moment M = E[(down x)(down x).T] of what the layers read in place
    of down @ down.T, the same steps give the directions that matter most for what
    is written, E|up @ down x|², whatever the dense covariance of x.

    Args:
        changes: What to decompose.
        moments: M of each layer, (width, width); None for plain singular values.

    Raises:
        AdapterError: A factor or moment holds NaN or infinity; the layer is named.
    """
    by_width = defaultdict(list)
    for name, change in changes.items():
        by_width[change.rank].append(name)
    found: dict[str, Decomposition] = {}
    for names in by_width.values():
        found |= _decompose_equal_widths({n: changes[n] for n in names}, moments)
    return {name: found[name] for name in changes}


def _decompose_equal_widths(
    changes: LayerChanges, moments: Moments | None
) -> dict[str, Decomposition]:
    """Decompose changes whose factors are all equally wide."""
    gram_up = torch.stack([_gram(c.up.T, n) for n, c in changes.items()])
    gram_down = torch.stack([_gram(c.down, n) for n, c in changes.items()])
    seen = gram_down
    if moments is not None:
        seen = torch.stack([_finite(moments[n].double(), n) for n in changes])
    scale, inverse_scale = _balance(gram_up, gram_down)
    gram_up = scale[:, :, None] * gram_up * scale[:, None]
    gram_down = inverse_scale[:, :, None] * gram_down * inverse_scale[:, None]
    seen = inverse_scale[:, :, None] * seen * inverse_scale[:, None]
    root_up, inverse_up = _root(gram_up)
    root_seen, _ = _root(seen)
    left, sigma, _ = torch.linalg.svd(root_up @ root_seen.mT)
    onto = left.mT @ root_up  # the left directions' coordinates of up
    squares = (onto @ gram_down * onto).sum(dim=2)
    length = squares.clamp_min(0).sqrt()
    mix_up = scale[:, :, None] * (inverse_up @ left)
    mix_down = onto * torch.where(length > 0, 1 / length, 0.0)[:, :, None]
    mix_down = mix_down * inverse_scale[:, None]
    return {
        name: Decomposition(
            change,
            mix_up[i, :, : min(change.shape)],
            sigma[i, : min(change.shape)],
            mix_down[i, : min(change.shape)],
            length[i, : min(change.shape)],
        )
        for i, (name, change) in enumerate(changes.items())
    }


def _gram(
    rows: Float[Tensor, "width size"], layer: str
) -> Float[Tensor, "width width"]:
    """Return rows @ rows.T in float64; a NaN anywhere shows in it."""
    wide = rows.double()
    return _finite(wide @ wide.T, layer)


def _finite(
    matrix: Float[Tensor, "width width"], layer: str
) -> Float[Tensor, "width width"]:
    """Return a matrix unless a value is NaN or infinite."""
    if not matrix.isfinite().all():
        raise AdapterError(
            f"{layer}: expected finite weights, got NaN or infinity; roll back to a "
            "version that verifies"
        )
    return matrix


def _balance(
    gram_up: Float[Tensor, "layers width width"],
    gram_down: Float[Tensor, "layers width width"],
) -> tuple[Float[Tensor, "layers width"], Float[Tensor, "layers width"]]:
    """Return what makes each column of up as long as its row of down, and its inverse.

    Their product stays the same. Without it a pair of a tiny column and a huge row
    would count as rounding beside others; a pair with a zero in it gets zero.
    """
    up = gram_up.diagonal(dim1=1, dim2=2)
    down = gram_down.diagonal(dim1=1, dim2=2)
    used = (up > 0) & (down > 0)
    scale = torch.where(used, (down / up).pow(0.25), 0.0)
    return scale, torch.where(used, 1 / scale, 0.0)


def _root(
    gram: Float[Tensor, "layers width width"],
) -> tuple[Float[Tensor, "layers width width"], Float[Tensor, "layers width width"]]:
    """Split Gram matrices into R.T @ R; also return the pseudo-inverse of R.

    Eigenvalues are squares, so what is below NOISE² of the largest is rounding.
    """
    values, vectors = torch.linalg.eigh(gram)
    floor = values[:, -1:] * NOISE**2
    values = torch.where(values > floor, values, torch.zeros_like(values))
    roots = values.sqrt()
    inverses = torch.where(roots > 0, 1 / roots, torch.zeros_like(roots))
    return roots[:, :, None] * vectors.mT, vectors * inverses[:, None, :]


def _used(change: LowRank) -> int:
    """Return how many directions there are up to the last that is not zero."""
    used = (change.up != 0).any(dim=0) | (change.down != 0).any(dim=1)
    return int(used.nonzero().max()) + 1 if used.any() else 0
