"""The golden files: what a life must look like from the outside.

To write them anew, after a change that is meant to be seen:

    SLEEPCYCLE_WRITE_GOLDEN=1 python -m pytest tests/contract

Then look at what `git diff` says, since that is what users will notice.
"""

import json
import os
import re
from pathlib import Path

from tests.contract.shapes import plain, several, shape

FOLDER = Path(__file__).parent / "golden"
WRITES = os.environ.get("SLEEPCYCLE_WRITE_GOLDEN") == "1"
HEAD = "===== "
USAGE = 2


def read(name):
    """Return what one file holds, by the names of its parts; nothing if none is."""
    file = FOLDER / name
    if not file.exists():
        return {}
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".json":
        return json.loads(text)
    parts = re.split(rf"^{HEAD}(.*)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def write(record):
    """Write every golden file anew."""
    FOLDER.mkdir(exist_ok=True)
    for name, look in LOOKS.items():
        found = look(record)
        if name.endswith(".json"):
            text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
        else:
            text = "".join(f"{HEAD}{key}\n{part}" for key, part in found.items())
        (FOLDER / name).write_text(text, encoding="utf-8")


def jsons(record):
    """Return the shape of each command's JSON."""
    return {
        name: shape(dreamt(value) if name.endswith("--dreams") else value)
        for name, value in record["json"].items()
    }


def dreamt(rows):
    """Return dreams without what they are of, which each machine dreams by itself."""
    return [row | {"content": "dreamt"} for row in rows]


def texts(record):
    """Return what each command prints for people, and how it refuses."""
    root = record["root"]
    said = {name: plain(name, text, root) for name, text in record["text"].items()}
    refusals = {
        f"{name} (refused)": plain(f"{name} (refused)", text, root)
        for name, text in record["errors"].items()
        if record["codes"][name] != USAGE
    }
    return said | refusals


def helps(record):
    """Return the help of each command, without the spaces at the ends of lines."""
    return {
        name: "".join(f"{line.rstrip()}\n" for line in text.strip().splitlines())
        for name, text in record["files"]["help"].items()
    }


def routes(record):
    """Return the answer to each request: its status, its kind and its shape."""
    return {
        name: answer | {"body": refusal(answer) or shape(answer["body"])}
        for name, answer in record["http"].items()
    }


def refusal(answer):
    """Return the name of an error, if that is the answer."""
    body = answer["body"] or {}
    return {**shape(body), "error": body["error"]} if "error" in body else None


def exits(record):
    """Return the exit code of each command."""
    return record["codes"]


def files(record):
    """Return the names of files, and the shape of what they hold."""
    found = record["files"]
    actions = {}
    for _, action, details in found["journal"] + found["journal of a restored home"]:
        actions.setdefault(action, []).append(shape(details))
    return {
        "home": named(found["home"]),
        "a run that was broken off": named(found["a broken run"]),
        "daemon.json": shape(found["daemon.json"]),
        "an exported version": found["export"],
        "tables": found["tables"],
        "indexes and triggers": found["indexes and triggers"],
        "actions of the journal": {
            action: several(told) for action, told in sorted(actions.items())
        },
    }


def named(contents):
    """Return the shapes of files by their place, that of runs and versions by kind."""
    kinds = {
        path.rpartition("/")[0]: held["kind"]
        for path, held in contents.items()
        if path.endswith(("/run.json", "/card.json"))
    }
    found = {}
    for path, held in contents.items():
        held = dreamt(held) if path.endswith("/dreams.jsonl") else held
        for folder, kind in kinds.items():
            if f"{path}/".startswith(f"{folder}/"):
                place = folder.partition("/")[0]
                path = f"{place}/A {kind.upper()}{path[len(folder) :]}"
        path = re.sub(r"\b\d{6}-[0-9a-f]{12}", "STEP-HASH", path)
        found.setdefault(path, []).append(None if held is None else shape(held))
    return {
        path: None if None in shapes else several(shapes)
        for path, shapes in sorted(found.items())
    }


LOOKS = {
    "json.json": jsons,
    "text.txt": texts,
    "help.txt": helps,
    "http.json": routes,
    "exits.json": exits,
    "files.json": files,
}


def parts(name):
    """Return the names of a file's parts, for a test of each."""
    return list(read(name))
