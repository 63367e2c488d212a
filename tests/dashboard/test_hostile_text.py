"""A hundred hostile texts stand in every field that a page shows, and do nothing."""

import json
import shutil
from dataclasses import replace
from itertools import islice, product
from urllib.parse import urlencode

import pytest

from sleepcycle.dashboard.conversation import Answered, Exchanged, write_conversation
from sleepcycle.feed.ingest import FeedOptions
from sleepcycle.home.opening import open_home
from sleepcycle.home.scoped_tokens import TokenScope, new_token
from sleepcycle.records.captured import Exchange
from sleepcycle.records.content import Text
from sleepcycle.records.example import Dream
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.records.target_state import TargetCondition, TargetState
from sleepcycle.settings.configfile import settings_from
from sleepcycle.store import run_table
from tests.dashboard.chromium import Visit, chromium
from tests.dashboard.conftest import Dashboard
from tests.dashboard.lived import lived_once
from tests.server.conftest import IDLE

__all__ = ["chromium", "lived_once"]

MARK = "planted"
ELEMENTS = (
    f"<script class={MARK}>alert(1)</script>",
    f"<img class={MARK} src=x onerror=alert(1)>",
    f"<svg class={MARK} onload=alert(1)></svg>",
    f"<iframe class={MARK} srcdoc='<script>alert(1)</script>'></iframe>",
    f'<a class={MARK} href="javascript:alert(1)">x</a>',
    f"<form class={MARK} action=/wake method=post><button>x</button></form>",
    f'<div class={MARK} hx-post="/wake" hx-trigger="load"></div>',
    f'<div class={MARK} hx-on:load="alert(1)"></div>',
    f"<style class={MARK}>body{{display:none}}</style>",
    f'<base class={MARK} href="http://127.0.0.1:1/">',
    f'<meta class={MARK} http-equiv=refresh content="0;url=/nothing">',
    f"<input class={MARK} autofocus onfocus=alert(1)>",
    f"<details class={MARK} open ontoggle=alert(1)><summary>x</summary></details>",
    "{{ 7 * 191 }}{% raw %}",
)
BEFORE = (
    "",
    '">',
    "'>",
    "</textarea>",
    "</title></head>",
    "</pre></td></table>",
    "<!--",
    f'" class={MARK} onmouseover=alert(1) x="',
)
HOSTILE = [
    before + one for one, before in islice(product(ELEMENTS, BEFORE), len(ELEMENTS) * 8)
]
PATHS = [
    *("/", "/timeline", "/timeline?before=40", "/versions", "/versions/v2", "/memory"),
    *("/runs/2", "/runs/5", "/data", "/data?before=80", "/data/batches/20"),
    *("/data/quarantine", "/data/review", "/care", "/care/journal", "/care/tokens"),
    *("/care/settings", "/talk"),
]


@pytest.fixture(scope="module")
def planted(lived_once, tmp_path_factory):
    """The dashboard of a home whose every text is hostile."""
    root = tmp_path_factory.mktemp("hostile") / "home"
    shutil.copytree(lived_once, root)
    settings = settings_from(
        {"capture": {"mode": "all"}, "feed": {"max_bad_ratio": 0.9}, "model": {}}
    )
    home = open_home(root, settings=settings)
    for number, text in enumerate(HOSTILE):
        plant(home, number, text)
    for folder in home.paths.versions.iterdir():
        dreams = [Dream(1, Text(text)) for text in HOSTILE[:50]]
        lines = "".join(f"{to_line(dream)}\n" for dream in dreams)
        (folder / "dreams.jsonl").write_text(lines)
    served = Dashboard(root)
    served.scheduler.settings = settings
    target = TargetState(
        HOSTILE[1], "folder", "v1", "v2", TargetCondition.BEHIND, HOSTILE[2], None
    )
    served.scheduler.now = replace(IDLE, banner=HOSTILE[1], targets=(target,))
    yield served
    served.http.stop()


def to_line(dream):
    """Return a dream as a line of its file."""
    content = {"text": dream.content.text}
    return json.dumps({"version": dream.version, "content": content})


def plant(home, number, text):
    """Put a text wherever one can be put."""
    name = text.replace("/", "|")[:120]
    file = home.paths.root / f"{number}.jsonl"
    rows = [json.dumps({"text": f"{number} {text} {n}"}) for n in range(4)]
    file.write_text("\n".join([*rows, f"{text} {number}"]))
    home.feed(file, options=FeedOptions(source=text))
    home.paths.inbox.mkdir(exist_ok=True)
    (home.paths.inbox / f"{name}{number}.unknown").write_text(text)
    said = [{"role": "user", "content": f"{number} {text}"}]
    answer = {"role": "assistant", "content": text}
    exchange = Exchange(f"chatcmpl-{number}", 0, text, said, answer, (), {"k": text})
    home.captured.capture(exchange, asked=True)
    if number < 20:
        new_token(home.paths, (TokenScope.READ,), text)
    with home.store.write() as session:
        run = run_table.start(session, RunKind.WAKE, 1, "boot 1")
        run_table.finish(session, run, RunState.FAILED, None, text)


def test_there_are_a_hundred():
    assert len(set(HOSTILE)) >= 100


@pytest.mark.timeout(120)
def test_each_is_a_text_and_nothing_else(chromium, planted):
    visit = Visit(chromium, planted.port, planted.link())
    shown, made = set(), {}
    for path in PATHS:
        visit.open(path)
        text = visit.page.evaluate("() => document.body.textContent")
        shown |= {one for one in HOSTILE if one in text}
        if found := elements_of(visit):
            made[path] = found

    talked = conversation(visit)

    visit.close()
    assert made == {}
    assert visit.faults == []
    assert len(shown) > 90
    assert talked == 50
    assert planted.scheduler.asked == []


def elements_of(visit):
    """Return the elements of a page that no template of ours has."""
    return visit.page.evaluate(
        f"""() => [...document.querySelectorAll(
            '.{MARK}, iframe, object, embed, base, style, [style], [srcdoc],' +
            'script:not([src]), [href^="javascript:"], meta[http-equiv]'
        )].concat([...document.querySelectorAll('*')].filter(
            one => [...one.attributes].some(a => /^(on|hx-on)/.test(a.name))
        )).filter(one => !one.closest('.uplot')) // which places its parts itself
          .map(one => one.outerHTML.slice(0, 200))"""
    )


def conversation(visit):
    """Show a conversation of hostile texts; return how many turns it has."""
    turns = [
        Exchanged(said=text, answers=(Answered(name=text, version=text, text=text),))
        for text in HOSTILE[:50]
    ]
    visit.open("/talk")
    fields = {"conversation": write_conversation(turns), "versions": HOSTILE[1]}
    body = urlencode(fields)
    visit.page.evaluate(
        """async body => {
            const headers = {"Content-Type": "application/x-www-form-urlencoded",
                             Accept: "text/html"};
            const answer = await fetch("/talk/turns", {method: "POST", headers, body});
            const text = await answer.text();
            const page = new DOMParser().parseFromString(text, "text/html");
            document.body.replaceWith(page.body);
        }""",
        body,
    )
    assert elements_of(visit) == []
    return visit.page.locator(".turn").count()
