"""Turns the corpus of `builtin:nano` into blocks of tokens, on all cores."""

import multiprocessing
import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from tools.nano_corpus import Document, document
from tools.nano_tokenizer import PAD, SPECIAL, as_text
from tools.nano_world import make_world

BLOCK = 256  # tokens
CHUNK = 2_000  # documents a process writes at once


def write_documents(world_seed: int, seed: int, indices: range) -> Iterator[Document]:
    """Write some documents of the stream that a seed names, about one world."""
    world = make_world(world_seed)
    return (document(world, seed, index) for index in indices)


def write_blocks(tokenizer_file: Path, seed: int, documents: int) -> np.ndarray:
    """Write and tokenise the whole corpus; the result is the same on any machine.

    Returns:
        Token ids in int16, (blocks, BLOCK).
    """
    chunks = [
        range(first, min(first + CHUNK, documents))
        for first in range(0, documents, CHUNK)
    ]
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the processes are the parallelism
    context = multiprocessing.get_context("spawn")  # a fork would share CUDA's state
    with context.Pool(min(len(chunks), os.cpu_count() or 1)) as pool:
        work = partial(_write_chunk, tokenizer_file, seed)
        return np.concatenate(pool.map(work, chunks, chunksize=1))


def pack(documents: Iterable[list[int]], pad: int) -> np.ndarray:
    """Fill blocks with whole documents one after the other, then with padding.

    Every block begins with a document. One longer than a block is cut at its end.

    Returns:
        Token ids in int16, (blocks, BLOCK).
    """
    rows: list[list[int]] = [[]]
    for tokens in documents:
        if len(rows[-1]) + len(tokens) > BLOCK:
            rows.append([])
        rows[-1] += tokens[:BLOCK]
    blocks = np.full((len(rows), BLOCK), pad, dtype=np.int16)
    for block, row in zip(blocks, rows, strict=True):
        block[: len(row)] = row
    return blocks


def _write_chunk(tokenizer_file: Path, seed: int, indices: range) -> np.ndarray:
    """Write, tokenise and pack one chunk."""
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    texts = [as_text(each.turns) for each in write_documents(seed, seed, indices)]
    encoded = tokenizer.encode_batch(texts, add_special_tokens=False)
    return pack((each.ids for each in encoded), SPECIAL.index(PAD))
