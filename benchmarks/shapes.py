"""Bases of random weights in the shapes of real ones, for speed and memory alone.

    python -m benchmarks.shapes qwen2.5-7b FOLDER [--tokenizer MODEL]

They are written as a real base is, in shards and in bfloat16, so that it is loaded, and
rounded to 4 bits, as a real one. A process of its own makes them, on a GPU where there
is one, and takes its memory with it. Write where it is fast, such as /dev/shm.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    PretrainedConfig,
    Qwen2Config,
)
from transformers.utils.logging import disable_progress_bar

from sleepcycle.model.base_files import locate
from sleepcycle.settings.config import ModelSettings

SHARD = "2GB"
RAM_DISK = Path("/dev/shm")
SPARE_BYTES = 2**30  # of the RAM disk, left to others

SHAPES: dict[str, PretrainedConfig] = {
    "tiny": LlamaConfig(  # to try a benchmark
        vocab_size=49152, hidden_size=128, intermediate_size=256,
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=8192, tie_word_embeddings=True,
    ),
    "smollm2-135m": LlamaConfig(
        vocab_size=49152, hidden_size=576, intermediate_size=1536,
        num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3,
        max_position_embeddings=8192, tie_word_embeddings=True, rms_norm_eps=1e-5,
    ),
    "qwen2.5-1.5b": Qwen2Config(
        vocab_size=151936, hidden_size=1536, intermediate_size=8960,
        num_hidden_layers=28, num_attention_heads=12, num_key_value_heads=2,
        max_position_embeddings=32768, tie_word_embeddings=True,
    ),
    "qwen2.5-7b": Qwen2Config(
        vocab_size=152064, hidden_size=3584, intermediate_size=18944,
        num_hidden_layers=28, num_attention_heads=28, num_key_value_heads=4,
        max_position_embeddings=32768, tie_word_embeddings=False,
    ),
}  # fmt: skip


def made(base: str, tokenizer: str, scratch: Path) -> str:
    """Return what loads a base: of a shape, a folder that is made once in `scratch`.

    Args:
        base: A shape's name, or whatever `model.base` may be.
        tokenizer: A base, or a folder with its tokenizer alone, whose tokenizer a
            shape gets; nano's if empty.
        scratch: Where bases lie.
    """
    if base not in SHAPES:
        return base
    folder = scratch / base
    if not folder.exists():
        command = [sys.executable, "-m", "benchmarks.shapes", base, str(folder)]
        subprocess.run([*command, "--tokenizer", tokenizer], check=True)
    return str(folder)


@contextmanager
def scratch_folder(given: str, base: str) -> Iterator[Path]:
    """Yield where to write a base: the folder that was given, else one that is removed.

    It lies in memory where there is room.
    """
    if given:
        Path(given).mkdir(parents=True, exist_ok=True)
        yield Path(given)
        return
    needed = 2 * _weights(SHAPES[base]) if base in SHAPES else 0
    roomy = RAM_DISK.is_dir() and (
        shutil.disk_usage(RAM_DISK).free > needed + SPARE_BYTES
    )
    with TemporaryDirectory(dir=RAM_DISK if roomy else None) as place:
        yield Path(place)


def _weights(config: PretrainedConfig) -> int:
    """Return how many weights a model has."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return sum(weight.numel() for weight in model.parameters())


def make(base: str, tokenizer: str, folder: Path) -> None:
    """Write a base of random weights, seed 0; all of it or nothing."""
    torch.manual_seed(0)
    disable_progress_bar()
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = AutoModelForCausalLM.from_config(SHAPES[base], dtype=torch.bfloat16)
    half = folder.with_suffix(".half")
    model.save_pretrained(half, max_shard_size=SHARD)
    place = Path(tokenizer)  # a folder may hold nothing else
    if not tokenizer or not place.is_dir():
        place = locate(ModelSettings(base=tokenizer or "builtin:nano"))
    AutoTokenizer.from_pretrained(place).save_pretrained(half)
    half.rename(folder)


def main() -> None:
    """Write one base."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("base", choices=SHAPES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokenizer", default="")
    given = parser.parse_args()
    make(given.base, given.tokenizer, given.folder)


if __name__ == "__main__":
    main()
