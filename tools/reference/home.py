"""The page of a home's files: what each is for, and what those of JSON hold."""

import json
from collections.abc import Iterator
from typing import Any

from sleepcycle.files.runfolder import Fault
from sleepcycle.records.example import FeedReport
from sleepcycle.records.progress import Progress
from sleepcycle.records.reports import SleepReport, WakeReport
from sleepcycle.records.run_order import RunOrder
from sleepcycle.records.version import Card
from tools.reference.records import record_section, records_within
from tools.reference.shapes import GOLDEN, TABLE, keys, leaves

HEAD = """\
# Files of a home

A home is one directory. Here is every file in it, and what the files of JSON hold.
`files/paths.py` and `files/runfolder.py` are the only places that know these names. The commit protocol and the processes are in [architecture](../explanation/architecture.md#the-commit-protocol).
"""
HOME = {
    "config.toml": "the settings; the environment wins over them",
    "sleepcycle.db": "the database; SQLite's own journal stands beside it while it is written",
    "feed.lock": "held by a feed while it adds its rows",
    "journal.head": "number and hash of a journal entry that must be there",
    "lock": "held by a run, a rollback, an import, a migration, and the service",
    "versions/v0042-HASH/": "one sealed version; HASH is the first 12 digits of its manifest's hash",
    "versions/v0042-HASH/adapter_model.safetensors": "the weights, as PEFT reads them",
    "versions/v0042-HASH/adapter_config.json": "PEFT's configuration: a plain LoRA of one rank and scale 1",
    "versions/v0042-HASH/card.json": "where the version comes from, its settings and report: [`Card`](#card)",
    "versions/v0042-HASH/manifest.json": "size and SHA-256 of each of the other files",
    "versions/v0042-HASH/dreams.jsonl": "what was dreamt, of a night with `archive` or `last` in `sleep.rem.memory`; `sleepcycle runs show N --dreams`",
    "runs/000041/": "one run folder, see below",
    "staging/": "versions being built; emptied by recovery",
    "scratch/": "what a backup, a restore or `versions gc` is at, and its `lock`; emptied by the next of them",
    "unclaimed/": "whole versions and run folders that the database does not know, such as after an older database was put back; `versions import` takes a version in again",
    "backups/": "copies of the database, made before a migration, with all the examples of then",
    "inbox/": "files to be fed by the service",
    "inbox/done/": "files that were fed, each with `NAME.report.json`: [`FeedReport`](#feedreport), and `size_bytes`, how much of the file was there",
    "inbox/failed/": "files that were refused, each with `NAME.report.json`: an object with `error`, the reason, and `size_bytes`",
    "uploads/": "what comes in over HTTP; hidden files are not whole, and deleted by the next start",
    "uploads/file-ID": "a file that a client of OpenAI's sent to fine-tune on",
    "uploads/file-ID.json": "what is known of it: its name, purpose, size, SHA-256 and time",
    "daemon.json": "how the running service is reached",
    "token": "what one must know to tell the service what to do; readable by the owner alone",
    "tokens.json": "the SHA-256, scopes and names of the tokens of other programs, never a token",
    "tokens.lock": "held while such a token is made or revoked",
    "cache/base.json": "the base's hash, with the sizes and times of its files",
    "cache/unpacked/": "the weights of a small base in GGUF, unpacked to safetensors",
    "cache/serving.json": "what the process that answers was last started with",
    "cache/template.json": "what the base's chat template renders, with a hash of its files",
    "cache/directions.safetensors": "the base's strongest directions, where `sleep.downscale` looked for intruders",
    "cache/bank.safetensors": "turns that the bare base asked and answered itself, with its opinion of each token",
    "logs/sleepcycle.log": "what was done; turned over at `log.max_mb`, `log.keep` are kept",
    "logs/harness.log": "what the last `evaluate --harness` printed",
    "logs/text.log": "what the last look at the base's chat template printed",
    "logs/command.log": "what the last command by HTTP printed that loads torch",
    "logs/serving.log": "what processes that answer printed",
    "logs/import.log": "what the last `versions import` printed",
}
RUN = {
    "run.json": ("parent", "all that the worker must know: [`RunOrder`](#runorder)"),
    "examples.jsonl": (
        "parent",
        "a wake: the claimed examples; a night: what the open day learned, at most `sleep.rem.max_examples`, drawn by the run's seed",
    ),
    "replay.jsonl": (
        "parent",
        "a wake: known examples to show again, or past dreams where `store` is not in `sleep.rem.memory`; a night: at most `sleep.rem.max_examples` known ones, and none unless `store` is",
    ),
    "today.jsonl": (
        "parent",
        "held-out examples of the batches learned since the last night",
    ),
    "known.jsonl": (
        "parent",
        "held-out examples of the batches that live knew before",
    ),
    "dreams.jsonl": (
        "parent",
        "a night with `archive` in `sleep.rem.memory`: what past nights dreamt, at most `sleep.rem.max_examples`",
    ),
    "near.json": (
        "worker",
        "a wake that holds on to its base: turns of the base that begin as the examples do, from which it goes on",
    ),
    "progress.jsonl": (
        "worker",
        "one [`Progress`](#progress) a line: a heartbeat; silence longer than `engine.heartbeat_timeout_s` ends the run",
    ),
    "base.json": (
        "worker",
        "which model it really loaded: [`BaseIdentity`](#baseidentity)",
    ),
    "checkpoint/": (
        "worker",
        "a wake: one folder, `STEP-HASH/`, with what it takes to go on at a step",
    ),
    "checkpoint/STEP-HASH/state.json": ("worker", "what is no tensor"),
    "checkpoint/STEP-HASH/state.safetensors": (
        "worker",
        "weights, the optimizer's moments, random states",
    ),
    "checkpoint/STEP-HASH/manifest.json": ("worker", "size and SHA-256 of both"),
    "result/": (
        "worker",
        "`adapter_model.safetensors`, `adapter_config.json`, and of a night `dreams.jsonl`, up to 1000; publishing moves the folder away",
    ),
    "report.json": (
        "worker",
        "[`WakeReport`](#wakereport) or [`SleepReport`](#sleepreport); written last, so it says that the result is whole",
    ),
    "error.json": ("worker", "instead of a report: [`Fault`](#fault)"),
    "failures.jsonl": (
        "parent",
        "workers that were lost, a line each with the key `error`; after three the run is undone",
    ),
    "worker.log": ("engine", "what the worker printed; `sleepcycle runs logs N`"),
}
RUN_HEAD = """\
## A run folder

`runs/000041/` is the contract of two processes: the parent orders a run, the worker computes it.
The JSON records are written beside their place and renamed, so a reader sees all or nothing.
Run folders are kept; the examples and dreams that were given, the turns that begin as they do, and the checkpoint, are deleted when the run is over.
A line of an example file has `id`, `batch` and `content`, a line of dreams `version`, the number of who dreamt it (-1 for the last good version), and `content`. A content is `{text}`, `{prompt, completion}` or `{messages}`.
"""
RECORDS_HEAD = """\
## Records

The types are those of the code: `or null` is told wherever a key may be null. Where a text says None, the file has null. A float that is not finite is null, too.
A key with a default may be missing in files of older releases.
"""


def home_page() -> str:
    """Return the files of a home and of a run, and what those of JSON hold."""
    golden = json.loads((GOLDEN / "files.json").read_text(encoding="utf-8"))
    parts = [HEAD, "| path | what |", "|---|---|"]
    parts += [f"| `{path}` | {said} |" for path, said in HOME.items()]
    parts += ["", RUN_HEAD, "| file | written by | what |", "|---|---|---|"]
    parts += [f"| `{name}` | {who} | {said} |" for name, (who, said) in RUN.items()]
    parts += ["", RECORDS_HEAD]
    roots = (RunOrder, Progress, WakeReport, SleepReport, Fault, Card, FeedReport)
    for record in records_within(*roots):
        parts += record_section(record)
    parts += [*_seen(golden), "## The database", "", "Tables of `sleepcycle.db`:", ""]
    parts += [", ".join(f"`{name}`" for name in golden["tables"]) + ".", ""]
    parts += ["## The journal", "", "| action | details |", "|---|---|"]
    parts += _actions(golden["actions of the journal"])
    return "\n".join(parts).rstrip() + "\n"


def _seen(golden: dict[str, Any]) -> Iterator[str]:
    """Yield the other files of JSON as the golden life had them."""
    broken = golden["a run that was broken off"]
    yield "## Other files of JSON\n"
    yield "From the golden files in `tests/contract/golden`: only what was seen there is listed. A key that was null in all of it says `null`, and may hold something else.\n"
    for name, shape in {
        "daemon.json": golden["daemon.json"],
        "cache/base.json": golden["home"]["cache/base.json"],
        "manifest.json": golden["home"]["versions/A WAKE/manifest.json"],
        "adapter_config.json": golden["home"]["versions/A WAKE/adapter_config.json"],
        "state.json": broken["checkpoint/STEP-HASH/state.json"],
    }.items():
        yield "\n".join([f"### `{name}`", "", *TABLE, *keys(shape), ""])


def _actions(actions: dict[str, Any]) -> Iterator[str]:
    """Yield a row for each action of the journal."""
    for action, shape in actions.items():
        told = ", ".join(f"`{at}` {kind}" for at, kind in leaves(shape, "") if at)
        yield f"| {action} | {told} |"
