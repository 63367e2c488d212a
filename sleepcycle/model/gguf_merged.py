"""A GGUF base with a version's change in its weights, as one file again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sleepcycle.errors import AdapterError
from sleepcycle.model.base_files import base_config
from sleepcycle.model.gguf_adapter import expect_architecture, named_factors
from sleepcycle.numerics.lowrank import LayerChanges, LowRank

FILE_TYPE = "general.file_type"
ALIGNMENT = "general.alignment"
SAID_ANEW = (FILE_TYPE, ALIGNMENT, "general.architecture")


def write_gguf_merged(changes: LayerChanges, place: Path, file: Path) -> None:
    """Write a base with a change added to its weights; one tensor is held at a time.

    What has the change is float32 where it was, and float16 else: packed again it
    would lose much of what was learned. All else is as it was, byte for byte.

    Args:
        changes: As they are sealed.
        place: The base, one GGUF file.
        file: Where to.

    Raises:
        AdapterError: The base is of a kind that is not written, or lacks an adapted
            layer, or the package `gguf` is not here.
    """
    config = base_config(place)
    architecture = expect_architecture(config)
    factors = {f"{n}.weight": c for n, c in named_factors(changes, config).items()}
    from gguf import GGUFReader, GGUFWriter

    reader = GGUFReader(place)
    if missing := sorted(factors.keys() - {tensor.name for tensor in reader.tensors}):
        raise AdapterError(f"expected {missing[0]} in {place}, found none")
    writer = GGUFWriter(file, architecture)
    _copy_values(reader, writer)
    for tensor in reader.tensors:
        data, kind = tensor.data, tensor.tensor_type
        if tensor.name in factors:
            shape, dtype = factors[tensor.name].shape, _dtype(kind)
            size = shape[0] * shape[1] * dtype.itemsize
            writer.add_tensor_info(tensor.name, shape, dtype, size)
        else:
            writer.add_tensor_info(
                tensor.name, data.shape, data.dtype, data.nbytes, kind
            )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for values in _data(reader, factors):
        writer.write_tensor_data(values)
    writer.close()


def _copy_values(reader: Any, writer: Any) -> None:  # noqa: ANN401 - of gguf
    """Write of the model what its file said."""
    from gguf import GGUFValueType, LlamaFileType

    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key in SAID_ANEW:
            continue
        inner = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
        writer.add_key_value(key, field.contents(), field.types[0], inner)
    said = reader.get_field(FILE_TYPE)
    whole = said is not None and said.contents() == LlamaFileType.ALL_F32
    writer.add_file_type(LlamaFileType.ALL_F32 if whole else LlamaFileType.MOSTLY_F16)
    if (alignment := reader.get_field(ALIGNMENT)) is not None:
        writer.add_custom_alignment(alignment.contents())


def _data(reader: Any, factors: dict[str, LowRank]) -> Iterator[NDArray[Any]]:  # noqa: ANN401
    """Yield each tensor's data, with the change where there is one."""
    from gguf import dequantize

    for tensor in reader.tensors:
        change = factors.get(tensor.name)
        if change is None:
            yield tensor.data
            continue
        whole = dequantize(tensor.data, tensor.tensor_type)
        total = whole + (change.up @ change.down).numpy()
        yield np.ascontiguousarray(total.astype(_dtype(tensor.tensor_type)))


def _dtype(kind: Any) -> np.dtype[Any]:  # noqa: ANN401 - of gguf
    """Return what a tensor with a change is held in."""
    return np.dtype(np.float32 if kind.name == "F32" else np.float16)
