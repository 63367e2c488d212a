"""A version as a folder that `ollama create` makes a model of."""

import shutil
from pathlib import Path

from sleepcycle.files.paths import ADAPTER_GGUF
from sleepcycle.model.base import load_text_base
from sleepcycle.model.base_files import base_config, files_at, locate
from sleepcycle.model.gguf_adapter import expect_architecture, write_gguf_adapter
from sleepcycle.model.gguf_header import read_header
from sleepcycle.model.gguf_merged import write_gguf_merged
from sleepcycle.model.go_template import GoTemplate, go_template
from sleepcycle.model.model_folder import INDEX
from sleepcycle.numerics.lowrank import LayerChanges
from sleepcycle.settings.config import ModelSettings

MODELFILE = "Modelfile"
MODEL_FILE, BASE_FOLDER = "model.gguf", "base"
BEGINS = "tokenizer.ggml.add_bos_token"
REQUIRES = {"gemma3": "0.30.0", "qwen3": "0.30.0"}
"""By kind, the first Ollama that puts an adapter on it; others always went."""

BESIDE = (INDEX, "generation_config.json")
"""Files of a folder that its hash does not cover, and a copy of it needs."""


def write_bundle(settings: ModelSettings, changes: LayerChanges, folder: Path) -> None:
    """Write a folder with a Modelfile, and the weights that it names.

    All that is named lies in the folder, so it may be carried to another machine.

    Args:
        settings: The base.
        changes: Of a version, as they are sealed.
        folder: A folder that is there.

    Raises:
        AdapterError: The base is of a kind that is not written as GGUF, or its chat
            template has no form that Ollama takes.
    """
    place = locate(settings)
    kind = expect_architecture(base_config(place))
    template = _template(settings, place)
    if place.is_file():
        write_gguf_merged(changes, place, folder / MODEL_FILE)
        lines = [f"FROM ./{MODEL_FILE}"]
    else:
        lines = [f"REQUIRES {REQUIRES[kind]}"] if kind in REQUIRES else []
        lines += [f"FROM ./{BASE_FOLDER}", f"ADAPTER ./{ADAPTER_GGUF}"]
        _copy_base(place, folder / BASE_FOLDER)
        write_gguf_adapter(changes, place, folder / ADAPTER_GGUF)
    lines.append(f'TEMPLATE """{template.text}"""')
    lines += [f"PARAMETER stop {_quoted(stop)}" for stop in template.stops]
    (folder / MODELFILE).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _template(settings: ModelSettings, place: Path) -> GoTemplate:
    """Return the chat template that the home goes by, as Ollama takes it."""
    text = load_text_base(settings)
    if not text.chat:
        return GoTemplate("{{ .Prompt }}", ())
    begins = read_header(place).values.get(BEGINS) if place.is_file() else None
    return go_template(text.tokenizer, None if begins is None else bool(begins))


def _copy_base(place: Path, copies: Path) -> None:
    """Copy a base of several files."""
    copies.mkdir()
    beside = [place / name for name in BESIDE if (place / name).is_file()]
    for file in [*files_at(place).hashed(), *beside]:
        if file.is_file():
            shutil.copyfile(file, copies / file.name)


def _quoted(stop: str) -> str:
    """Return a stop as a Modelfile takes it."""
    return f'"""{stop}"""' if '"' in stop or "\n" in stop else f'"{stop}"'
