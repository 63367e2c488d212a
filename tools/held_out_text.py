"""Writes texts that `builtin:nano` was never trained on, for a study's `text`.

python -m tools.held_out_text FILE
"""

import argparse
from itertools import islice
from pathlib import Path

from tools.nano_blocks import write_documents
from tools.pretrain_nano import HELD_OUT_SEED

TEXTS = 100
DRAWN = 10 * TEXTS  # documents; two fifths are plain text


def main() -> None:
    """Write plain texts of the held-out stream, an empty line between them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seed", type=int, default=1, help="of the pre-training")
    chosen = parser.parse_args()
    documents = write_documents(chosen.seed, chosen.seed + HELD_OUT_SEED, range(DRAWN))
    texts = (turns[0] for turns in (one.turns for one in documents) if len(turns) == 1)
    chosen.file.write_text("\n\n".join(islice(texts, TEXTS)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
