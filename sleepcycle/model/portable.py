"""The portable adapter: the one form that is written, which all servers read alike.

One rank for all layers, lora_alpha equal to it, so the scale is 1; every layer of the
base's targets present; no pattern, no bias, no rsLoRA, no DoRA; float32. Servers
differ in what they make of anything else, some of them silently.
"""

import json
import re
import reprlib
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sleepcycle.errors import AdapterError
from sleepcycle.files.paths import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from sleepcycle.files.plain_file import open_plain, read_plain
from sleepcycle.files.sealed import verify
from sleepcycle.model.adapters import check_fits
from sleepcycle.model.base import Targets
from sleepcycle.numerics.lowrank import LayerChanges, LowRank, pad
from sleepcycle.records.version import BaseIdentity

PREFIX = "base_model.model."
DOWN, UP = ".lora_A.weight", ".lora_B.weight"
KEY = re.compile(
    r"base_model\.model\.(?P<path>.+)\.lora_(?P<factor>[AB])(\.default)?\.weight"
)
PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"}
FLOATS = ("F32", "F16", "BF16", "F64")
CONFIG_BYTES = 1 << 20  # of a configuration; PEFT writes some thousands
HEADER_BYTES = 16 << 20  # of weights: a tensor takes about 100
WEIGHTS_BYTES = 32 << 30
MAX_NAME = 300  # letters
MAX_RANK = 4096  # beyond any that is trained; what asks for more is broken or hostile
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # what vLLM's --max-lora-rank takes

PORTABLE = {
    "peft_type": "LORA",
    "task_type": "CAUSAL_LM",
    "inference_mode": True,
    "init_lora_weights": True,
    "lora_dropout": 0.0,
    "bias": "none",
    "modules_to_save": None,
    "rank_pattern": {},
    "alpha_pattern": {},
    "use_rslora": False,
    "use_dora": False,
}


def write_portable(
    folder: Path, changes: LayerChanges, base: BaseIdentity, targets: Targets
) -> int:
    """Write changes as a portable adapter; the same changes give the same bytes.

    Args:
        folder: Where to; it is made if need be.
        changes: By layer; a layer without one is written as zero.
        base: The model that the adapter belongs to.
        targets: The layers that adapters sit on in that model.

    Returns:
        The uniform rank.

    Raises:
        AdapterError: The changes do not fit the base, need too high a rank, or hold NaN
            or infinity.
    """
    check_fits(changes, targets)
    rank = portable_rank(max(change.rank for change in changes.values()))
    tensors = {}
    for path, shape in sorted(targets.shapes.items()):
        wide = pad(changes.get(path) or LowRank.zero(shape), rank)
        if not (_finite(wide.up) and _finite(wide.down)):
            raise AdapterError(f"{path}: expected finite weights, got NaN or infinity")
        tensors[f"{PREFIX}{path}{DOWN}"] = wide.down.float().contiguous()
        tensors[f"{PREFIX}{path}{UP}"] = wide.up.float().contiguous()
    config = PORTABLE | {
        "base_model_name_or_path": base.id,
        "revision": base.revision,
        "r": rank,
        "lora_alpha": rank,
        "target_modules": targets.leaves,
        "fan_in_fan_out": targets.transposed,
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    (folder / ADAPTER_CONFIG).write_text(json.dumps(config, indent=1, sort_keys=True))
    return rank


def load_portable(folder: Path) -> dict[str, LowRank]:
    """Read a portable adapter.

    Raises:
        AdapterError: It is not in the portable form, a tensor is missing, added or of
            the wrong shape, or a value is NaN or infinite.
    """
    config = read_config(folder)
    for key, expected in PORTABLE.items():
        if config.get(key) != expected:
            raise AdapterError(
                f"{folder}: expected {key} to be {expected!r} in a portable adapter, "
                f"got {reprlib.repr(config.get(key))}; take it in with: sleepcycle "
                "versions import"
            )
    rank = config.get("r")
    if rank not in RANKS or config.get("lora_alpha") != rank:
        raise AdapterError(
            f"{folder}: expected r to be one of {RANKS} and lora_alpha equal to it, "
            f"got {reprlib.repr(rank)} and {reprlib.repr(config.get('lora_alpha'))}"
        )
    changes = read_factors(folder)
    for path, change in changes.items():
        if change.rank != rank:
            raise AdapterError(
                f"{folder}: expected rank {rank} in every layer, got {change.rank} in "
                f"{path}"
            )
    return changes


def load_sealed(folder: Path | None) -> dict[str, LowRank]:
    """Verify a sealed version, and read its changes; none for the bare base.

    Raises:
        ManifestError: Its files are not what was sealed.
        AdapterError: They hold no portable adapter.
    """
    if folder is None:
        return {}
    verify(folder)
    return load_portable(folder)


def read_config(folder: Path) -> dict[str, Any]:
    """Read an adapter's configuration.

    Raises:
        AdapterError: There is none, or it is no JSON object.
    """
    file = folder / ADAPTER_CONFIG
    try:
        config = json.loads(read_plain(file, most_bytes=CONFIG_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise AdapterError(
            f"expected an adapter with {ADAPTER_CONFIG} in {folder}, got: {error}"
        ) from error
    if not isinstance(config, dict):
        raise AdapterError(
            f"{file}: expected a JSON object, got {type(config).__name__}"
        )
    return config


def read_factors(folder: Path) -> dict[str, LowRank]:
    """Read an adapter's factors as they are, unscaled, as float32.

    Shapes are checked before a weight is read, and the header's size before that.

    Raises:
        AdapterError: The file is not safetensors, holds other tensors than pairs of
            factors in floats, or a value is NaN or infinite.
    """
    file = folder / ADAPTER_WEIGHTS
    if not file.is_file():
        raise _no_weights(folder)
    try:
        _expect_small_header(file)
        with safe_open(file, framework="pt") as tensors:
            shapes = {n: _shape(file, tensors, n) for n in tensors.keys()}  # noqa: SIM118 - not iterable
            paths = _paths(file, shapes)
            changes = {
                path: LowRank(
                    up=tensors.get_tensor(up).float(),
                    down=tensors.get_tensor(down).float(),
                )
                for path, (down, up) in paths.items()
            }
    except (SafetensorError, OSError) as error:
        raise AdapterError(
            f"{file}: expected whole safetensors, got: {error}"
        ) from error
    for path, change in changes.items():
        if not _finite(change.up) or not _finite(change.down):
            raise AdapterError(f"{file}: {path} holds NaN or infinity")
    return changes


def _expect_small_header(file: Path) -> None:
    """Refuse a file whose header takes longer to read than that of any adapter.

    Raises:
        OSError: It is no plain file, or too large.
        AdapterError: Its header is.
    """
    with open_plain(file, most_bytes=WEIGHTS_BYTES) as weights:
        size = int.from_bytes(weights.read(8), "little")
    if size > HEADER_BYTES:
        raise AdapterError(
            f"{file}: expected whole safetensors with a header of at most "
            f"{HEADER_BYTES} bytes, got one of {size}"
        )


def portable_rank(rank: int) -> int:
    """Return the smallest portable rank that holds `rank` directions.

    Raises:
        AdapterError: There is none.
    """
    for portable in RANKS:
        if rank <= portable:
            return portable
    raise AdapterError(
        f"expected rank {RANKS[-1]} at most, got {rank}; fold it with a "
        'night of [sleep] compression = "svd"'
    )


def _paths(
    file: Path, shapes: dict[str, tuple[int, ...]]
) -> dict[str, tuple[str, str]]:
    """Pair the factors of each layer: path to the names of down and up."""
    pairs: dict[str, dict[str, str]] = {}
    for name in shapes:
        if len(name) > MAX_NAME:
            raise AdapterError(
                f"{file}: expected names of at most {MAX_NAME} letters, got "
                f"{reprlib.repr(name)}, which has {len(name)}"
            )
        match = KEY.fullmatch(name)
        if match is None or len(shapes[name]) != 2:
            raise AdapterError(
                f"{file}: expected pairs of two-dimensional lora_A and lora_B weights, "
                f"got {name} of shape {shapes[name]}"
            )
        pairs.setdefault(match["path"], {})[match["factor"]] = name
    for path, pair in pairs.items():
        if set(pair) != {"A", "B"}:
            raise AdapterError(f"{file}: {path} has lora_{min(pair)} alone")
        down, up = shapes[pair["A"]], shapes[pair["B"]]
        if down[0] != up[1] or not 1 <= down[0] <= MAX_RANK:
            raise AdapterError(
                f"{file}: {path}: expected factors (rank, in) and (out, rank) of one "
                f"rank in 1..{MAX_RANK}, got {down} and {up}"
            )
    if not pairs:
        raise AdapterError(f"{file}: expected lora_A and lora_B weights, found none")
    return {path: (pair["A"], pair["B"]) for path, pair in pairs.items()}


def _shape(file: Path, tensors: Any, name: str) -> tuple[int, ...]:  # noqa: ANN401
    """Return a tensor's shape without reading it; its values must be floats."""
    tensor = tensors.get_slice(name)
    if tensor.get_dtype() not in FLOATS:
        raise AdapterError(
            f"{file}: expected {name[:MAX_NAME]} to be one of {', '.join(FLOATS)}, got "
            f"{tensor.get_dtype()}"
        )
    return tuple(tensor.get_shape())


def _finite(factor: Tensor) -> bool:
    """Return whether a factor holds no NaN and no infinity."""
    return bool(factor.isfinite().all())


def _no_weights(folder: Path) -> AdapterError:
    """Return the error that there are no safetensors; pickle is never opened."""
    others = [f.name for f in folder.glob("*") if f.suffix in PICKLES]
    unread = (
        f"; {', '.join(sorted(others)[:3])} may run code when opened and was not read: "
        "save it as safetensors first"
        if others
        else ""
    )
    return AdapterError(f"expected {ADAPTER_WEIGHTS} in {folder}, found none{unread}")
