"""Kept completions: from the answer to the example, and away again."""

import json

import pytest
from sqlalchemy import text

from sleepcycle.cli.app import open_logged
from sleepcycle.errors import CaptureError, FeedError, NotFoundError, RunError
from sleepcycle.home.opening import create_home, open_home
from sleepcycle.records.captured import CapturedState, Exchange, Feedback, Thumb
from sleepcycle.records.content import Role
from sleepcycle.records.run_order import RunKind
from sleepcycle.settings.configfile import settings_from
from sleepcycle.store import example_table, run_table
from sleepcycle.store.captured_table import Wanted
from sleepcycle.store.integrity import damage
from tests.home.lived import tiny
from tests.journaled import journal_entries

PLANTED = "Zaunkoenigsruh"
WAITING, ACCEPTED, REJECTED = CapturedState


def opened(root, **capture):
    """Open a home that keeps all, and holds out nothing."""
    return open_home(
        root,
        settings=settings_from(
            {
                "capture": {"mode": "all", **capture},
                "feed": {"held_out_share": 0},
                "engine": {"reserve_mb": 0},
            }
        ),
    )


def exchange(number=1, asked="What is the moon?", said="A rock.", **more):
    """Return a request with its answer."""
    return Exchange(
        id=f"chatcmpl-{number}",
        version=0,
        model="live",
        messages=more.pop("messages", [{"role": "user", "content": asked}]),
        answer={"role": "assistant", "content": said},
        **more,
    )


def kept(home, *args, **more):
    """Keep a completion, and return its id."""
    return home.captured.capture(exchange(*args, **more), asked=False).id


def states(home, batch=1):
    """Return how many examples of a batch are where, but for none."""
    found = home.batches.get(batch)[1]
    return {str(state): count for state, count in found.items() if count}


def content(home, batch=1):
    """Return the content of a batch's one example."""
    [example] = home.batches.examples(batch)
    return json.loads(example.content)


def files_with(root, word):
    """Return the files below a folder that have a word."""
    return [
        path.relative_to(root)
        for path in root.rglob("*")
        if path.is_file() and word.encode() in path.read_bytes()
    ]


@pytest.fixture
def home(home):
    return opened(home.paths.root)


class TestWhatIsKept:
    def test_nothing_is_kept_by_default(self, new_home):
        assert not open_home(new_home).captured.wants(asked=True)

    @pytest.mark.parametrize(
        ("mode", "asked", "wanted"),
        [
            ("off", True, False),
            ("ask", False, False),
            ("ask", True, True),
            ("all", False, True),
            ("all", True, True),
        ],
    )
    def test_a_request_is_kept_by_mode(self, home, mode, asked, wanted):
        captured = opened(home.paths.root, mode=mode).captured

        found = captured.capture(exchange(), asked=asked)

        assert (found is not None) == wanted == captured.wants(asked=asked)
        assert len(captured.listing()) == wanted

    def test_what_is_off_leaves_no_trace(self, tmp_path):
        """
        It is looked for in every file of the home: database, logs and cache.
        """
        create_home(tmp_path / "home")
        home = open_logged(tmp_path / "home")
        talk = exchange(asked=PLANTED, said=PLANTED, metadata={"k": PLANTED})

        assert home.captured.capture(talk, asked=True) is None

        assert files_with(home.paths.root, PLANTED) == []

    def test_all_of_it_is_kept(self, home):
        messages = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Möwe?"}]},
        ]
        tools = [{"type": "function", "function": {"name": "f"}}]
        name = kept(home, messages=messages, tools=tools, metadata={"user": "7"})

        found = home.captured.get(name)

        assert (found.version, found.model) == ("v0", "live")
        assert (found.messages, found.tools) == (messages, tools)
        assert found.answer == {"role": "assistant", "content": "A rock."}
        assert found.metadata == {"user": "7"}
        assert (found.state, found.thumb, found.batch) == (WAITING, None, None)

    def test_what_is_private_is_taken_out_before(self, home):
        private = f"{PLANTED}@example.com"
        tools = [{"function": {"description": private}}]

        kept(home, 2, private, private, tools=tools)
        name = kept(home, 1, private, private, metadata={"m": private})
        home.captured.set_metadata(name, {"m": private})
        home.captured.edit(name, f"ask {private}")

        assert home.captured.get(name).metadata == {"m": "[email]"}
        assert content(home)["messages"][1]["content"] == "ask [email]"
        assert files_with(home.paths.root, PLANTED) == []

    def test_what_a_chat_program_asks_for_itself_is_not(self, home):
        task = '### Task:\nName the chat.\n### Output:\n{ "title": "a title" }'

        assert home.captured.capture(exchange(asked=task), asked=True) is None

    def test_another_id_is_refused(self, home):
        talk = exchange()

        with pytest.raises(CaptureError, match="expected an id with chatcmpl-"):
            home.captured.capture(
                Exchange("cmpl-1", 0, "live", talk.messages, talk.answer), asked=True
            )

    def test_half_a_character_is_no_fault(self, home):
        name = kept(home, asked="a\ud800")

        assert home.captured.get(name).messages[0]["content"] == "a?"


class TestListing:
    @pytest.fixture
    def three(self, home):
        for number, colour in enumerate(("red", "blue", "red"), 1):
            kept(home, number, metadata={"colour": colour, "n": str(number)})
        return home.captured

    def test_it_goes_on_after_one(self, three):
        first = three.listing(limit=2)
        rest = three.listing(Wanted(after=first[-1].id), limit=2)

        assert [one.id[-1] for one in [*first, *rest]] == ["1", "2", "3"]

    def test_the_newest_may_come_first(self, three):
        first = three.listing(Wanted(newest_first=True), limit=2)
        rest = three.listing(Wanted(after=first[-1].id, newest_first=True))

        assert [one.id[-1] for one in [*first, *rest]] == ["3", "2", "1"]

    def test_every_pair_of_metadata_must_be_there(self, three):
        reds = three.listing(Wanted(metadata={"colour": "red"}))
        one = three.listing(Wanted(metadata={"colour": "red", "n": "3"}))

        assert [found.id[-1] for found in reds] == ["1", "3"]
        assert [found.id[-1] for found in one] == ["3"]

    def test_a_key_with_signs_of_a_path_is_a_key(self, three):
        three.set_metadata("chatcmpl-1", {"$.\"a'": "'; --"})

        found = three.listing(Wanted(metadata={"$.\"a'": "'; --"}))

        assert [one.id for one in found] == ["chatcmpl-1"]

    def test_a_state_may_be_asked_for(self, three):
        three.reject("chatcmpl-2")

        found = three.listing(Wanted(state=REJECTED))

        assert [one.id for one in found] == ["chatcmpl-2"]

    @pytest.mark.parametrize("method", ["get", "accept", "reject", "delete"])
    def test_an_unknown_one_is_refused(self, three, method):
        with pytest.raises(NotFoundError, match=r"no kept completion 'chatcmpl-9'"):
            getattr(three, method)("chatcmpl-9")

    def test_an_unknown_one_to_go_on_after_is_refused(self, three):
        with pytest.raises(NotFoundError, match="no kept completion"):
            three.listing(Wanted(after="chatcmpl-9"))


class TestMetadata:
    @pytest.mark.parametrize(
        ("metadata", "fault"),
        [
            ([], "invalid 'metadata': expected an object, got list"),
            ({str(n): "" for n in range(17)}, "at most 16 properties, got 17"),
            ({"k" * 65: ""}, "names of at most 64 characters"),
            ({"k": 3}, "invalid 'metadata.k': expected a string, got int"),
            ({"k": "v" * 513}, "a string of at most 512 characters, got 513"),
        ],
    )
    def test_what_is_too_much_is_refused(self, home, metadata, fault):
        with pytest.raises(CaptureError, match=fault):
            kept(home, metadata=metadata)
        name = kept(home)
        with pytest.raises(CaptureError, match=fault):
            home.captured.set_metadata(name, metadata)

    def test_the_most_that_may_be_is_kept(self, home):
        most = {f"{n:064}": "v" * 512 for n in range(16)}
        captured = opened(home.paths.root, redact=[]).captured

        captured.capture(exchange(metadata=most), asked=False)

        assert captured.get("chatcmpl-1").metadata == most


class TestAccept:
    def test_it_becomes_a_batch_of_its_name(self, home):
        found = home.captured.accept(kept(home))

        batch, _ = home.batches.get(found.batch)
        assert (found.state, found.batch) == (ACCEPTED, 1)
        assert (batch.source, batch.accepted) == ("chatcmpl-1", 1)
        assert states(home) == {"pending": 1}

    def test_the_last_answer_alone_is_learned(self, home):
        messages = [
            {"role": "user", "content": "One?"},
            {"role": "assistant", "content": "A bad answer."},
            {"role": "user", "content": "Two?"},
        ]
        home.captured.accept(kept(home, messages=messages))

        with home.store.read() as session:
            [example] = example_table._records(session, text("1"))
        turns = example.content.messages
        assert [turn.is_learned for turn in turns] == [False, False, False, True]
        assert turns[1].role is Role.ASSISTANT

    def test_it_may_be_held_out_as_all_that_is_fed(self, home):
        settings = settings_from(
            {"capture": {"mode": "all"}, "feed": {"held_out_share": 0.999999}}
        )
        held = open_home(home.paths.root, settings=settings)

        held.captured.accept(kept(held))

        assert states(held) == {"held_out": 1}

    def test_twice_is_once(self, home):
        name = kept(home)

        assert home.captured.accept(name) == home.captured.accept(name)
        assert len(home.batches.listing()) == 1

    def test_the_same_conversation_is_one_example(self, home):
        first = home.captured.accept(kept(home, 1))
        second = home.captured.accept(kept(home, 2))

        assert first.example == second.example
        assert len(home.batches.listing()) == 1

    def test_one_that_a_kill_left_fed_is_accepted(self, home):
        """
        As if the process had ended between the feed and the row.
        """
        name = kept(home)
        home.captured.accept(name)
        with home.store.write() as session:
            session.execute(text("UPDATE captured SET state='waiting', example=NULL"))

        assert home.captured.accept(name).batch == 1

    def test_what_cannot_be_learned_waits_on(self, home):
        picture = {"type": "image_url", "image_url": {"url": "data:"}}
        name = kept(home, messages=[{"role": "user", "content": [picture]}])

        with pytest.raises(FeedError, match="expected parts of type text"):
            home.captured.accept(name)

        assert home.captured.get(name).state is WAITING
        assert home.batches.listing() == []

    def test_batches_exclude_works_on_one(self, home):
        home.captured.accept(kept(home, 1))
        home.captured.accept(kept(home, 2, "Why?"))

        home.batches.exclude(1)

        assert states(home, 1) == {"excluded": 1}
        assert states(home, 2) == {"pending": 1}

    def test_the_journal_names_it_and_says_none_of_it(self, home):
        home.captured.accept(kept(home, asked=PLANTED))

        with home.store.read() as session:
            [last] = journal_entries(session, 1)
        assert last.action == "accept completion"
        assert last.details == {"id": "chatcmpl-1", "batch": 1}


class TestReject:
    def test_it_is_never_fed(self, home):
        assert home.captured.reject(kept(home)).state is REJECTED
        assert home.batches.listing() == []

    def test_one_that_was_accepted_is_excluded(self, home):
        name = kept(home)
        home.captured.accept(name)

        home.captured.reject(name)

        assert states(home) == {"excluded": 1}

    def test_one_that_is_accepted_again_is_queued_again(self, home):
        name = kept(home)
        home.captured.accept(name)
        home.captured.reject(name)

        home.captured.accept(name)

        assert states(home) == {"pending": 1}

    def test_what_another_accepted_one_is_stays(self, home):
        home.captured.accept(kept(home, 1))
        home.captured.accept(kept(home, 2))

        home.captured.reject("chatcmpl-1")

        assert states(home) == {"pending": 1}

    def test_what_a_run_learns_is_left_to_it(self, home):
        name = kept(home)
        home.captured.accept(name)
        with home.store.write() as session:
            run = run_table.start(session, RunKind.WAKE, 1, "boot")
            example_table.claim(session, run, 9)

        for change in (home.captured.reject, home.captured.delete):
            with pytest.raises(RunError, match="wait for it or cancel it"):
                change(name)

        assert home.captured.get(name).state is ACCEPTED


class TestEdit:
    def test_the_correction_is_learned(self, home):
        found = home.captured.edit(kept(home), "Mostly basalt.")

        assert (found.state, found.batch) == (ACCEPTED, 1)
        assert content(home)["messages"][1]["content"] == "Mostly basalt."
        assert found.answer["content"] == "A rock."

    def test_it_takes_the_place_of_what_was_accepted(self, home):
        name = kept(home)
        home.captured.accept(name)

        found = home.captured.edit(name, "Basalt.")

        assert found.batch == 2
        assert (states(home, 1), states(home, 2)) == ({"excluded": 1}, {"pending": 1})

    def test_a_whole_message_may_be_given(self, home):
        found = home.captured.edit(kept(home), {"content": "Basalt.", "role": "user"})

        assert found.correction == {"content": "Basalt.", "role": "assistant"}
        assert content(home)["messages"][1]["content"] == "Basalt."

    def test_what_the_template_does_not_render_waits(self, home):
        function = {"name": "look", "arguments": "{}"}
        call = {"id": "1", "type": "function", "function": function}

        with pytest.raises(FeedError, match=r"chatcmpl-1:1 .* template does not"):
            home.captured.edit(kept(home), {"content": "", "tool_calls": [call]})

        found = home.captured.get("chatcmpl-1")
        assert (found.state, found.correction["tool_calls"]) == (WAITING, [call])

    def test_one_that_says_nothing_changes_nothing(self, home):
        name = kept(home)
        home.captured.accept(name)

        with pytest.raises(FeedError, match="expected the assistant to say something"):
            home.captured.edit(name, "  ")

        assert home.captured.get(name).correction is None
        assert states(home) == {"pending": 1}

    def test_the_same_twice_is_once(self, home):
        name = kept(home)

        assert home.captured.edit(name, "B.") == home.captured.edit(name, "B.")
        assert len(home.batches.listing()) == 1

    def test_a_rejected_one_may_be_corrected(self, home):
        name = kept(home)
        home.captured.reject(name)

        assert home.captured.edit(name, "B.").state is ACCEPTED


class TestFeedback:
    def test_a_demonstration_is_a_correction(self, home):
        found = home.captured.feedback(kept(home), Feedback.DEMONSTRATION, "Basalt.")

        assert (found.state, found.correction["content"]) == (ACCEPTED, "Basalt.")

    @pytest.mark.parametrize(
        ("review", "reviewed", "state"),
        [(True, False, WAITING), (True, True, ACCEPTED), (False, False, ACCEPTED)],
    )
    def test_a_thumb_up_counts_where_it_may(self, home, review, reviewed, state):
        home = opened(home.paths.root, review=review)

        found = home.captured.feedback(
            kept(home), Feedback.THUMB, True, reviewed=reviewed
        )

        assert (found.state, found.thumb) == (state, Thumb.UP)

    @pytest.mark.parametrize("review", [True, False])
    def test_a_thumb_down_is_never_gold(self, home, review):
        home = opened(home.paths.root, review=review)
        name = kept(home)
        home.captured.accept(name)

        found = home.captured.feedback(name, Feedback.THUMB, False)

        assert (found.state, found.thumb) == (REJECTED, Thumb.DOWN)
        assert states(home) == {"excluded": 1}

    @pytest.mark.parametrize("thumb_first", [True, False])
    def test_a_correction_outlives_a_thumb_down(self, home, thumb_first):
        name = kept(home)
        said = [(Feedback.THUMB, False), (Feedback.DEMONSTRATION, "Basalt.")]

        for kind, value in said if thumb_first else reversed(said):
            home.captured.feedback(name, kind, value)

        assert home.captured.get(name).state is ACCEPTED
        assert content(home)["messages"][1]["content"] == "Basalt."

    def test_a_thumb_up_takes_one_down_back(self, home):
        name = kept(home)
        home.captured.feedback(name, Feedback.THUMB, False)

        assert home.captured.feedback(name, Feedback.THUMB, True).state is WAITING

    def test_a_thumb_up_does_not_overrule_who_reviewed(self, home):
        home = opened(home.paths.root, review=False)
        name = kept(home)
        home.captured.reject(name)

        assert home.captured.feedback(name, Feedback.THUMB, True).state is REJECTED

    @pytest.mark.parametrize(
        ("kind", "value", "fault"),
        [
            (Feedback.THUMB, "up", "expected true or false for a thumb, got str"),
            (Feedback.DEMONSTRATION, True, "a text or a message for a demonstration"),
        ],
    )
    def test_a_value_of_another_kind_is_refused(self, home, kind, value, fault):
        with pytest.raises(CaptureError, match=fault):
            home.captured.feedback(kept(home), kind, value)


class TestDelete:
    @pytest.fixture
    def learned(self, home):
        """A home whose version v1 has learned a conversation, and v2 comes from it."""
        tiny_home = tiny(
            home.paths.root,
            capture={"mode": "all"},
            feed={"held_out_share": 0},
        )
        name = kept(tiny_home, asked=f"What is {PLANTED}?", metadata={"at": PLANTED})
        tiny_home.captured.accept(name)
        tiny_home.wake()
        tiny_home.sleep()
        return tiny_home

    def test_the_versions_that_learned_it_are_tainted(self, learned):
        done = learned.captured.delete("chatcmpl-1")

        tainted = [
            one.version.name for one in learned.versions.listing() if one.tainted
        ]
        assert (done.erased, list(done.tainted)) == (True, tainted)
        assert tainted == ["v1", "v2"]

    def test_their_cards_name_it(self, learned):
        cards = [json.loads(learned.versions.card(name)) for name in ("v1", "v2")]

        assert [card["conversations"] for card in cards] == [["chatcmpl-1"]] * 2

    def test_no_card_has_what_an_owner_looks_for_in_talk(self, learned):
        assert "capture" not in json.loads(learned.versions.card("v1"))["settings"]

    def test_nothing_of_it_is_left_in_the_home(self, learned):
        assert files_with(learned.paths.root, PLANTED)

        learned.captured.delete("chatcmpl-1")

        assert files_with(learned.paths.root, PLANTED) == []

    def test_every_count_still_adds_up(self, learned):
        learned.captured.delete("chatcmpl-1")

        assert list(damage(learned.paths)) == []
        assert states(learned) == {"excluded": 1}

    def test_it_is_never_queued_again(self, learned):
        learned.captured.delete("chatcmpl-1")

        learned.batches.requeue(1)

        assert states(learned) == {"excluded": 1}

    def test_answers_that_were_corrected_go_too(self, home):
        name = kept(home, said=PLANTED)
        home.captured.accept(name)
        home.captured.edit(name, f"not {PLANTED}")
        home.captured.edit(name, f"never {PLANTED}")

        home.captured.delete(name)

        assert files_with(home.paths.root, PLANTED) == []

    def test_one_that_a_kill_left_fed_goes_whole(self, home):
        name = kept(home, said=PLANTED)
        home.captured.accept(name)
        with home.store.write() as session:
            session.execute(text("UPDATE captured SET state='waiting', example=NULL"))

        home.captured.delete(name)

        assert files_with(home.paths.root, PLANTED) == []

    def test_long_ones_go_whole(self, home):
        """
        They fill pages of their own, which are free then.
        """
        long = f"{PLANTED} " * 5_000
        for number in range(5):
            kept(home, number, asked=f"{number} {long}")
            home.captured.edit(f"chatcmpl-{number}", f"{number} {long} x")

        for number in range(5):
            home.captured.delete(f"chatcmpl-{number}")

        assert files_with(home.paths.root, PLANTED) == []

    def test_one_that_was_never_accepted_is_gone(self, home):
        name = kept(home, asked=PLANTED)

        done = home.captured.delete(name)

        assert (done.erased, done.tainted, done.batch) == (False, (), None)
        assert home.captured.listing() == []
        assert files_with(home.paths.root, PLANTED) == []

    def test_what_a_file_brought_stays_and_is_named(self, home, tmp_path):
        row = {
            "messages": [
                {"role": "user", "content": "What is the moon?"},
                {"role": "assistant", "content": "A rock."},
            ]
        }
        (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
        home.feed(tmp_path / "a.jsonl")
        name = kept(home)
        home.captured.accept(name)

        done = home.captured.delete(name)

        assert (done.erased, done.batch) == (False, 1)
        assert states(home) == {"pending": 1}

    def test_what_another_accepted_one_is_stays(self, home):
        home.captured.accept(kept(home, 1))
        home.captured.accept(kept(home, 2))

        assert home.captured.delete("chatcmpl-1").erased is False
        assert states(home) == {"pending": 1}
        assert home.captured.delete("chatcmpl-2").erased is True
        assert states(home) == {"excluded": 1}

    def test_a_rejected_one_that_was_the_same_keeps_nothing(self, home):
        for number in (1, 2):
            home.captured.accept(kept(home, number))
            if number == 1:
                home.captured.reject("chatcmpl-1")
        home.captured.delete("chatcmpl-2")

        done = home.captured.delete("chatcmpl-1")

        assert (done.erased, done.batch) == (False, None)

    def test_the_same_may_be_said_and_learned_again(self, home):
        home.captured.accept(kept(home, 1))
        home.captured.delete("chatcmpl-1")

        found = home.captured.accept(kept(home, 2))

        assert (found.batch, states(home, 2)) == (2, {"pending": 1})
