"""A version as a folder that `ollama create` makes a model of."""

import shutil
from collections.abc import Callable
from pathlib import Path

from sleepcycle.files.paths import ADAPTER_GGUF
from sleepcycle.model.base import load_text_base
from sleepcycle.model.base_files import OLLAMA, base_config, files_at, locate
from sleepcycle.model.gguf_adapter import expect_architecture
from sleepcycle.model.gguf_header import read_header
from sleepcycle.model.go_template import GoTemplate, go_template
from sleepcycle.model.model_folder import INDEX
from sleepcycle.settings.config import ModelSettings

MODELFILE = "Modelfile"
BASE_FILE, BASE_FOLDER = "base.gguf", "base"
BEGINS = "tokenizer.ggml.add_bos_token"
REQUIRES = {"gemma3": "0.30.0", "qwen3": "0.30.0"}
"""By kind, the first Ollama that puts an adapter on it; others always went."""

BESIDE = (INDEX, "generation_config.json")
"""Files of a folder that its hash does not cover, and a copy of it needs."""


def write_bundle(
    settings: ModelSettings, folder: Path, write_adapter: Callable[[Path], None]
) -> None:
    """Write a folder with a Modelfile, the adapter, and the base that it is for.

    All that is named lies in the folder, but a base of Ollama, which is named as Ollama
    does: so the folder may be carried to another machine.

    Args:
        settings: The base.
        folder: A folder that is there.
        write_adapter: Writes the adapter as GGUF to a file.

    Raises:
        AdapterError: The base is of a kind that is not written as GGUF, or its chat
            template has no form that Ollama takes.
    """
    place = locate(settings)
    kind = expect_architecture(base_config(place))
    template = _template(settings, place)
    lines = [f"FROM {_base(settings, place, folder)}", f"ADAPTER ./{ADAPTER_GGUF}"]
    if kind in REQUIRES:
        lines.insert(0, f"REQUIRES {REQUIRES[kind]}")
    if template:
        lines.append(f'TEMPLATE """{template.text}"""')
        lines += [f"PARAMETER stop {_quoted(stop)}" for stop in template.stops]
    write_adapter(folder / ADAPTER_GGUF)
    (folder / MODELFILE).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _template(settings: ModelSettings, place: Path) -> GoTemplate | None:
    """Return the chat template to write; None where the base of Ollama has the same."""
    inherits = settings.base.startswith(OLLAMA)
    if inherits and not settings.chat_template and settings.chat == "auto":
        return None
    text = load_text_base(settings)
    if not text.chat:
        return GoTemplate("{{ .Prompt }}", ())
    begins = read_header(place).values.get(BEGINS) if place.is_file() else None
    return go_template(text.tokenizer, None if begins is None else bool(begins))


def _base(settings: ModelSettings, place: Path, folder: Path) -> str:
    """Return how a Modelfile names the base, which is copied if Ollama has it not."""
    if settings.base.startswith(OLLAMA):
        return settings.base.removeprefix(OLLAMA)
    if place.is_file():
        shutil.copyfile(place, folder / BASE_FILE)
        return f"./{BASE_FILE}"
    copies = folder / BASE_FOLDER
    copies.mkdir()
    beside = [place / name for name in BESIDE if (place / name).is_file()]
    for file in [*files_at(place).hashed(), *beside]:
        if file.is_file():
            shutil.copyfile(file, copies / file.name)
    return f"./{BASE_FOLDER}"


def _quoted(stop: str) -> str:
    """Return a stop as a Modelfile takes it."""
    return f'"""{stop}"""' if '"' in stop or "\n" in stop else f'"{stop}"'
