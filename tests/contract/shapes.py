"""What stays of an answer once all that may differ from run to run is taken out."""

import re
from datetime import datetime

CHANGING = (
    (re.compile(r"v\d+"), "VERSION"),
    (re.compile(r"\d+"), "NUMBER"),
    (re.compile(r".*\blayers\.\d+\..*"), "LAYER"),
)
NAMES = {int: "int", float: "float", str: "str", bool: "bool", type(None): "null"}


def shape(value):
    """Return keys and types: of an object by key, of a list those of all elements."""
    if isinstance(value, dict):
        found = {}
        for key, inner in value.items():
            name = generic(key)
            told = shape(inner)
            found[name] = both(found[name], told) if name in found else told
        return found
    if isinstance(value, list):
        return [several(map(shape, value))] if value else []
    if isinstance(value, str) and is_time(value):
        return "time"
    return NAMES[type(value)]


def generic(key):
    """Return a key without what a number, a version or a layer gave it."""
    return next((name for form, name in CHANGING if form.fullmatch(key)), key)


def is_time(text):
    """Tell whether a text is a moment, with its zone."""
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def several(shapes):
    """Return one shape for many."""
    first, *others = shapes
    for other in others:
        first = both(first, other)
    return first


def both(first, second):
    """Return one shape for two; a key that only one of them has ends in `?`."""
    if first == second:
        return first
    if isinstance(first, dict) and isinstance(second, dict):
        return joined(first, second)
    if isinstance(first, list) and isinstance(second, list):
        return [several(first + second)] if first + second else []
    return " | ".join(sorted({*alternatives(first), *alternatives(second)}))


def joined(first, second):
    """Return the keys of two objects."""
    mine = {key.removesuffix("?"): key for key in first}
    yours = {key.removesuffix("?"): key for key in second}
    found = {}
    for key in [*mine, *(key for key in yours if key not in mine)]:
        if key in mine and key in yours:
            sure = {mine[key], yours[key]} == {key}
            told = both(first[mine[key]], second[yours[key]])
        else:
            sure = False
            told = first[mine[key]] if key in mine else second[yours[key]]
        found[key if sure else f"{key}?"] = told
    return found


def alternatives(told):
    """Return the names of what a value may be; an object or list by its keys."""
    if isinstance(told, str):
        return told.split(" | ")
    if isinstance(told, dict):
        return ["{" + ", ".join(f"{k}: {v}" for k, v in sorted(told.items())) + "}"]
    return [f"[{', '.join(map(str, told))}]"]


TEXTS = (
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?", "TIME"),
    (r"\b\d{8}T\d{6}(\.\d+)?Z", "TIME"),
    (r"next sleep \w{3} \d\d:\d\d \(in [^)]+\)", "next sleep WHEN"),
    (r"\d:\d\d:\d\d left", "SPAN left"),
    (r"127\.0\.0\.1:\d+", "LOOPBACK:PORT"),
    (r"\b(process|pid|kill|PID) \d+", r"\1 PID"),
    (r"(?m)^pid +\d+", "pid  PID"),
    (r"\bsc_[\w-]{43}", "TOKEN"),
    (r"\bcode=[\w-]{32}", "code=CODE"),
    (r"\b[0-9a-f]{12,}\b", "HASH"),
    (r"[\d,]+ bytes", "SIZE bytes"),
    (r"\b(fell|rose) (?=[\d.])", "MOVED "),
)
NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(,\d{3})*(\.\d+)?(e[-+]\d+)?%?")
FRACTION = re.compile(r"(?<![\w.])[-+]?\d+(,\d{3})*\.\d+(e[-+]\d+)?%?")
MEASURED = re.compile(
    r"wake|sleep|versions (show|diff)|evaluate|runs (show, |logs)|doctor"
)
"""Commands that print what was computed or weighed: none of their numbers is held."""

LAYER = re.compile(r"\blayers\.\d+\.")
MACHINE = re.compile(
    r"^\w+ +(sqlite|disk|file system|memory|clock|time zone): .*\n(  .*\n)*",
    re.MULTILINE,
)
OWN_WORDS = {"ask": "ANSWER\n"}


def plain(name, text, root):
    """Return what a command prints without what may differ from run to run."""
    if name in OWN_WORDS:
        return OWN_WORDS[name]
    text = text.replace(root, "ROOT")
    text = re.sub(r"^it runs while you are logged in.*\n", "", text, flags=re.M)
    for form, put in TEXTS:
        text = re.sub(form, put, text)
    if name.startswith("doctor"):
        text = MACHINE.sub(r"LEVEL \1: OF THIS MACHINE\n", text)
    if name == "runs show --dreams":
        text = re.sub(r"(?m)^v\d+ .*$", "VERSION  DREAM", text)
    text = (NUMBER if MEASURED.match(name) else FRACTION).sub("N", text)
    text = LAYER.sub("layers.N.", text)
    lines = [re.sub(r" {2,}", "  ", line).rstrip() for line in text.splitlines()]
    lines = lines[1:] if lines[:1] == [""] else lines  # where a bar was drawn
    return "".join(f"{line}\n" for line in once(lines))


def once(lines):
    """Yield lines; of those on layers or dreams that look alike only the first."""
    seen = set()
    for line in lines:
        if "layers.N." in line or line == "VERSION  DREAM":
            if line in seen:
                continue
            seen.add(line)
        yield line
