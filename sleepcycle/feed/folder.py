"""A folder that `datasets` saved: one table in several files, in their order."""

import json
from pathlib import Path

from sleepcycle.errors import FeedError

WANTED = "expected a file or a folder that datasets' save_to_disk wrote"


def files_of(folder: Path) -> list[Path]:
    """Return the files of a saved dataset, whose rows follow each other.

    Raises:
        FeedError: It is no such folder, or has several splits, or names a file that
            is not in it.
    """
    if (folder / "dataset_dict.json").is_file():
        splits = sorted(each.name for each in folder.iterdir() if each.is_dir())
        raise FeedError(
            f"expected one split, got a folder of {', '.join(splits):.200}; feed the "
            "folder of each that is meant"
        )
    state = folder / "state.json"
    if not state.is_file():
        raise FeedError(f"{WANTED}, got another folder; name the files in it")
    try:
        files = json.loads(state.read_bytes())["_data_files"]
        names = [each["filename"] for each in files]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FeedError(f"{WANTED}, got a state.json that names no files") from error
    if any(not isinstance(name, str) or Path(name).name != name for name in names):
        raise FeedError(f"{WANTED}, got a state.json that names files elsewhere")
    return [folder / name for name in names]
