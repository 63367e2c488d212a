"""Damage: a flipped bit, a broken adapter, a torn database is found before it is used.

100 bits, 20 adapters and 40 databases in the short form; 1,000, 100 and 500 with
`SLEEPCYCLE_FAULTS=full`. What a check of the books cannot prove wrong is counted.
"""

import json
import os
import random
import shutil
import sqlite3
from collections import Counter
from contextlib import closing, suppress

import pytest
import torch
from safetensors.torch import load_file, save, save_file

from sleepcycle.backup.backup import back_up
from sleepcycle.backup.restore import restore
from sleepcycle.errors import (
    AdapterError,
    HomeError,
    ManifestError,
    SleepcycleError,
)
from sleepcycle.files.paths import ADAPTER_CONFIG, ADAPTER_WEIGHTS, HomePaths
from sleepcycle.files.sealed import seal, verify
from sleepcycle.home.opening import create_home, open_home
from sleepcycle.home.weights import convert_adapter
from sleepcycle.model import adapters
from sleepcycle.model.base import load_base
from sleepcycle.model.portable import load_sealed, write_portable
from sleepcycle.numerics.lowrank import LowRank
from sleepcycle.settings.config import ModelSettings
from sleepcycle.store import journal
from sleepcycle.store.integrity import damage
from tests.home.lived import feed, live_days, rows_of, tiny

FULL = os.environ.get("SLEEPCYCLE_FAULTS") == "full"
BITS = 1_000 if FULL else 100
ADAPTERS = 100 if FULL else 20
DATABASES = 500 if FULL else 40
MOST_UNSEEN = 0.002  # of damaged databases: what an ended run says of its process
JSON_COLUMNS = {("version", 10)}  # white space in them says nothing


class TestFlippedBits:
    def test_each_is_found_before_anything_is_loaded(self, tmp_path, record_property):
        """
        There is no base here: whoever went on to load the adapter would stumble.
        """
        rng = random.Random(0)
        folder = _sealed(tmp_path, rng)
        files, found = sorted(folder.iterdir()), Counter()
        for _ in range(BITS):
            file = rng.choice(files)
            whole = file.read_bytes()
            bit = rng.randrange(8 * len(whole))
            broken = bytearray(whole)
            broken[bit // 8] ^= 1 << bit % 8
            file.write_bytes(broken)

            with pytest.raises(ManifestError, match=file.name):
                load_sealed(folder)

            file.write_bytes(whole)
            found[file.name] += 1
        verify(folder)
        for name, count in found.items():
            record_property(f"flipped bits found in {name}", count)
        assert found.total() == BITS

    def test_a_damaged_version_is_not_made_live(self, tmp_path):
        create_home(tmp_path / "home")
        home = tiny(tmp_path / "home")
        live_days(home, "monday", "tuesday")
        [folder] = home.paths.versions.glob("v0002-*")
        weights = folder / ADAPTER_WEIGHTS
        data = bytearray(weights.read_bytes())
        data[len(data) // 2] ^= 1
        weights.write_bytes(data)

        for move in (home.promote, home.rollback):
            with pytest.raises(ManifestError, match=ADAPTER_WEIGHTS):
                move("v2")
        with pytest.raises(ManifestError, match=ADAPTER_WEIGHTS):
            home.versions.alias("best", "v2")
        assert home.status().live == "v4"


def _sealed(tmp_path, rng):
    """Return a sealed folder with files such as a version has."""
    stage = tmp_path / "stage"
    stage.mkdir()
    (stage / ADAPTER_WEIGHTS).write_bytes(rng.randbytes(1 << 16))
    (stage / ADAPTER_CONFIG).write_text(json.dumps({"r": 16, "lora_alpha": 16}))
    (stage / "card.json").write_text(json.dumps({"number": 1, "accepted": True}))
    (stage / "dreams.jsonl").write_text('{"version":1,"content":["a"]}\n' * 50)
    (tmp_path / "versions").mkdir()
    return seal(stage, tmp_path / "versions", "v0001")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The builtin base."""
    return load_base(
        ModelSettings(), device=torch.device("cpu"), cache=tmp_path_factory.mktemp("c")
    )


@pytest.fixture(scope="module")
def good(base, tmp_path_factory):
    """A whole portable adapter of it."""
    rng = torch.Generator().manual_seed(0)
    folder = tmp_path_factory.mktemp("good") / "adapter"
    changes = {
        path: LowRank(
            torch.randn(out, 8, generator=rng) * 0.01,
            torch.randn(8, wide, generator=rng) * 0.01,
        )
        for path, (out, wide) in base.targets.shapes.items()
    }
    write_portable(folder, changes, base.identity, base.targets)
    return folder


class Breaker:
    """Breaks adapters, each in a way of its own, at a random place."""

    def __init__(self, rng):
        self.rng = rng

    @property
    def ways(self):
        """What can be wrong with an adapter that is neither ours nor another's."""
        return [
            *(self._value(v) for v in (torch.nan, torch.inf, -torch.inf)),
            self._too_large,
            self._truncate,
            self._lengthen,
            self._empty,
            self._header,
            self._header_bit,
            self._transposed,
            self._wider,
            self._ranks,
            self._lone,
            self._renamed,
            self._unknown_layer,
            self._dimensions,
            *(self._type(t) for t in (torch.int32, torch.int8, torch.bool)),
            self._none,
            self._no_weights,
            *(self._config(text) for text in ("", "[]", "{", "null", '"r"')),
            self._no_config,
            *(
                self._setting(key, value)
                for key, value in (
                    ("peft_type", "IA3"),
                    ("use_dora", True),
                    ("bias", "all"),
                    ("modules_to_save", ["head"]),
                    ("r", 4),
                    ("r", None),
                    ("r", "8"),
                    ("lora_alpha", None),
                    ("lora_alpha", "8"),
                )
            ),
        ]

    def _value(self, value):
        def act(folder):
            tensors, name = self._tensors(folder)
            flat = tensors[name].view(-1)
            flat[self.rng.randrange(len(flat))] = value
            save_file(tensors, folder / ADAPTER_WEIGHTS)

        return act

    def _type(self, kind):
        def act(folder):
            tensors, name = self._tensors(folder)
            tensors[name] = tensors[name].to(kind)
            save_file(tensors, folder / ADAPTER_WEIGHTS)

        return act

    def _config(self, text):
        return lambda folder: (folder / ADAPTER_CONFIG).write_text(text)

    def _setting(self, key, value):
        def act(folder):
            config = json.loads((folder / ADAPTER_CONFIG).read_text())
            (folder / ADAPTER_CONFIG).write_text(json.dumps({**config, key: value}))

        return act

    def _too_large(self, folder):
        tensors, name = self._tensors(folder)
        tensors[name] = tensors[name].double() * 1e45  # more than float32 can hold
        save_file(tensors, folder / ADAPTER_WEIGHTS)

    def _truncate(self, folder):
        data = (folder / ADAPTER_WEIGHTS).read_bytes()
        (folder / ADAPTER_WEIGHTS).write_bytes(data[: self.rng.randrange(len(data))])

    def _lengthen(self, folder):
        with (folder / ADAPTER_WEIGHTS).open("ab") as file:
            file.write(self.rng.randbytes(self.rng.randrange(1, 100)))

    def _empty(self, folder):
        (folder / ADAPTER_WEIGHTS).write_bytes(b"")

    def _header(self, folder):
        data = bytearray((folder / ADAPTER_WEIGHTS).read_bytes())
        data[:8] = self.rng.randrange(1 << 63).to_bytes(8, "little")
        (folder / ADAPTER_WEIGHTS).write_bytes(data)

    def _header_bit(self, folder):
        data = bytearray((folder / ADAPTER_WEIGHTS).read_bytes())
        at = data.index(b"data_offsets") + self.rng.randrange(12)
        data[at] ^= 0x80
        (folder / ADAPTER_WEIGHTS).write_bytes(data)

    def _transposed(self, folder):
        tensors, name = self._tensors(folder)
        tensors[name] = tensors[name].T.contiguous()
        save_file(tensors, folder / ADAPTER_WEIGHTS)

    def _wider(self, folder):
        tensors, name = self._tensors(folder)
        wide = tensors[name]
        axis = 1 if "lora_A" in name else 0
        tensors[name] = torch.cat([wide, wide], dim=axis)
        save_file(tensors, folder / ADAPTER_WEIGHTS)

    def _ranks(self, folder):
        tensors, name = self._tensors(folder)
        axis = 0 if "lora_A" in name else 1
        tensors[name] = tensors[name].narrow(axis, 0, 4).contiguous()
        save_file(tensors, folder / ADAPTER_WEIGHTS)

    def _lone(self, folder):
        tensors, name = self._tensors(folder)
        del tensors[name]
        save_file(tensors, folder / ADAPTER_WEIGHTS)

    def _renamed(self, folder):
        tensors, name = self._tensors(folder)
        tensors["weights"] = tensors.pop(name)
        save_file(tensors, folder / ADAPTER_WEIGHTS)

    def _unknown_layer(self, folder):
        tensors, _ = self._tensors(folder)
        for factor in ("A", "B"):
            tensors[f"base_model.model.nowhere.lora_{factor}.weight"] = torch.zeros(
                8, 8
            )
        save_file(tensors, folder / ADAPTER_WEIGHTS)

    def _dimensions(self, folder):
        tensors, name = self._tensors(folder)
        tensors[name] = tensors[name][None]
        save_file(tensors, folder / ADAPTER_WEIGHTS)

    def _none(self, folder):
        (folder / ADAPTER_WEIGHTS).write_bytes(save({}))

    def _no_weights(self, folder):
        (folder / ADAPTER_WEIGHTS).rename(folder / "adapter_model.bin")

    def _no_config(self, folder):
        (folder / ADAPTER_CONFIG).unlink()

    def _tensors(self, folder):
        """Return an adapter's tensors, and the name of one."""
        tensors = load_file(folder / ADAPTER_WEIGHTS)
        return tensors, self.rng.choice(sorted(tensors))


class TestBrokenAdapters:
    def test_a_whole_one_is_taken(self, base, good, tmp_path):
        assert _asked(base, good, tmp_path) is None
        assert _imported(base, good, tmp_path) is None

    @pytest.mark.parametrize("group", range(4))
    def test_each_is_refused_with_a_reason(
        self, base, good, tmp_path, group, record_property
    ):
        """
        By `ask`, even under a manifest that holds, and by `versions import`.
        """
        breaker = Breaker(random.Random(group))
        ways = breaker.ways
        count = ADAPTERS // 4
        for number in range(count):
            folder = tmp_path / f"broken-{number}"
            shutil.copytree(good, folder)
            way = ways[(group * count + number) % len(ways)]
            way(folder)

            for use in (_asked, _imported):
                reason = use(base, folder, tmp_path)
                assert reason, (use, number, way)
        record_property("broken adapters refused", count)


def _asked(base, folder, tmp_path):
    """Return why a version with these files cannot be asked; None where it can."""
    stage, place = tmp_path / "stage", tmp_path / "versions"
    shutil.copytree(folder, stage)
    place.mkdir(exist_ok=True)
    sealed = seal(stage, place, "v0001")
    try:
        with adapters.attached(base, "asked", load_sealed(sealed)):
            return None
    except AdapterError as error:
        return str(error)
    finally:
        shutil.rmtree(sealed)


def _imported(base, folder, tmp_path):
    """Return why these files cannot be imported; None where they can."""
    stage = tmp_path / "import"
    try:
        convert_adapter(
            ModelSettings(), tmp_path / "cache", base.identity, folder, stage
        )
    except AdapterError as error:
        return str(error)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return None


@pytest.fixture(scope="module")
def lived_once(tmp_path_factory):
    """A home with something in each of its tables, and a backup."""
    root = tmp_path_factory.mktemp("lived") / "home"
    create_home(root)
    home = tiny(root)
    live_days(home, "monday", "tuesday")
    feed(home, "wednesday")
    home.wake()
    feed(home, "thursday", rows=30)
    rows = "".join(f'{{"text": "row {i}"}}\n' for i in range(9)) + "not JSON\n"
    (root.parent / "bad.jsonl").write_text(rows)
    home.feed(root.parent / "bad.jsonl")
    home.versions.alias("best", "v2")
    back_up(home.paths, home.settings.store, actor="test")
    return root


class Wrecker:
    """Damages databases, at a random place in one of several ways."""

    def __init__(self, root, rng):
        self.database = root / "sleepcycle.db"
        self.whole = self.database.read_bytes()
        self.rng = rng

    def wreck(self):
        """Damage the whole database, and return in which way."""
        for suffix in ("", "-journal", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                self.database.with_name(self.database.name + suffix).unlink()
        self.database.write_bytes(self.whole)
        way = self.rng.choice(
            [self._flip] * 6 + [self._cut, self._page, self._beside, self._missing]
        )
        way()
        return way.__name__.strip("_")

    def _flip(self):
        data = bytearray(self.whole)
        for _ in range(self.rng.choice([1, 1, 2, 4, 8, 16, 32, 64])):
            data[self.rng.randrange(len(data))] ^= self.rng.randrange(1, 256)
        self.database.write_bytes(data)

    def _cut(self):
        self.database.write_bytes(self.whole[: self.rng.randrange(len(self.whole))])

    def _page(self):
        data = bytearray(self.whole)
        at = self.rng.randrange(len(data) // 4096) * 4096
        data[at : at + 4096] = self.rng.choice([bytes(4096), data[:4096]])
        self.database.write_bytes(data)

    def _beside(self):
        """Put another database's log beside it, as a careless copy does."""
        other = self.database.parent.parent / "other.db"
        other.unlink(missing_ok=True)
        kind = self.rng.choice(["wal", "journal"])
        with closing(sqlite3.connect(other, isolation_level=None)) as books:
            books.execute("PRAGMA page_size=4096")
            books.execute(f"PRAGMA journal_mode={'WAL' if kind == 'wal' else 'DELETE'}")
            books.execute("CREATE TABLE other (text)")
            books.execute("PRAGMA cache_size=1")
            books.execute("BEGIN")
            for _ in range(self.rng.randrange(1, 400)):
                books.execute("INSERT INTO other VALUES (?)", ("x" * 500,))
            if kind == "wal":
                books.execute("COMMIT")
            log = other.with_name(f"other.db-{kind}").read_bytes()
        self.database.with_name(f"{self.database.name}-{kind}").write_bytes(log)

    def _missing(self):
        self.database.unlink()


class TestDamagedDatabases:
    @pytest.mark.parametrize("group", range(4))
    def test_each_opens_right_or_is_refused(
        self, lived_once, tmp_path, group, record_property
    ):
        """
        A row that was changed where nothing else tells of it is counted, and rare.
        """
        shutil.copytree(lived_once, tmp_path / "place" / "home")
        root = tmp_path / "place" / "home"
        good, head = rows_of(root, but=()), (root / "journal.head").read_text()
        wrecker = Wrecker(root, random.Random(group))
        came_to, unseen = Counter(), Counter()
        for _ in range(DATABASES // 4):
            way = wrecker.wreck()
            (root / "journal.head").write_text(head)
            outcome, changed = _look(root, good)
            came_to[f"{way}: {outcome}"] += 1
            unseen.update(changed)
        for name, count in sorted(came_to.items()):
            record_property(name, count)
        for column, count in unseen.items():
            record_property(f"unseen in {column}", count)
        assert came_to.total() == DATABASES // 4
        assert not [name for name in came_to if "but said" in name]
        silent = sum(n for name, n in came_to.items() if "wrong" in name)
        assert silent <= max(1, MOST_UNSEEN * DATABASES)

    @pytest.mark.parametrize("way", ["_cut", "_missing"])
    def test_the_command_that_is_named_puts_it_right(self, lived_once, tmp_path, way):
        shutil.copytree(lived_once, tmp_path / "place" / "home")
        root = tmp_path / "place" / "home"
        good = rows_of(root)
        [backup] = (root / "backups").iterdir()
        wrecker = Wrecker(root, random.Random(0))
        getattr(wrecker, way)()

        with pytest.raises(SleepcycleError, match=r"no home|restore") as refusal:
            open_home(root).status()
        if way == "_cut":
            assert f"restore {backup} --replace" in str(refusal.value)
        restore(backup, root, in_place=True, actor="test")

        assert rows_of(root) == good

    def test_without_a_backup_the_command_says_what_is_needed(self, tmp_path):
        create_home(tmp_path / "home")
        (tmp_path / "home" / "sleepcycle.db").write_bytes(b"torn" * 2000)

        with pytest.raises(SleepcycleError, match="restore BACKUP --replace"):
            open_home(tmp_path / "home")


def _look(root, good):
    """Return what opening a home and checking its books came to.

    With it come the columns whose rows are wrong, where nobody noticed.
    """
    paths = HomePaths(root)
    try:
        home = open_home(root)
        home.status()
    except HomeError:
        return "refused as missing", []
    except SleepcycleError as error:
        return f"refused when opened{_if_unhelpful(str(error))}", []
    if any(damage(paths)):
        return "refused when checked", []
    try:
        with home.store.read() as session:
            if journal.check(session, paths):
                return "refused by the journal", []
    except SleepcycleError:
        return "refused by the journal", []
    changed = _changed(good, rows_of(root, but=()))
    return ("silently wrong" if changed else "right"), changed


def _if_unhelpful(message):
    """Return a word on a message that names no command."""
    known = "restore", "doctor", "db upgrade", "install the newer", "init"
    return "" if any(word in message for word in known) else f", but said {message}"


def _changed(good, now):
    """Return the columns, as table and place, whose values differ."""
    changed = []
    for table, rows in good.items():
        if len(rows) != len(now.get(table, [])):
            changed.append(f"{table}, rows")
            continue
        for before, after in zip(rows, now[table], strict=True):
            changed += [
                f"{table}, column {place}"
                for place, (one, other) in enumerate(zip(before, after, strict=True))
                if one != other and not _says_the_same((table, place), one, other)
            ]
    return changed


def _says_the_same(column, one, other):
    """Tell whether two texts are the same JSON."""
    return column in JSON_COLUMNS and json.loads(one) == json.loads(other)
