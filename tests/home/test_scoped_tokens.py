"""Tokens with scopes: shown once, kept without the token, known at once."""

import json
import os
import threading

import pytest
from loguru import logger

from sleepcycle.errors import ConfigError, NotFoundError, ServiceError
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.scoped_tokens import (
    Holder,
    KnownTokens,
    TokenScope,
    list_tokens,
    new_token,
    revoke_token,
    scopes_of,
)

OWN = "s3cret-that-nobody-guesses-0123456789"
TALK = (TokenScope.TALK,)


@pytest.fixture
def paths(tmp_path):
    """A folder in which tokens may lie."""
    return HomePaths(tmp_path)


@pytest.fixture
def known(paths):
    return KnownTokens(paths, OWN)


@pytest.fixture
def logged():
    """What is logged meanwhile."""
    lines = []
    handler = logger.add(lines.append, format="{message}")
    yield lines
    logger.remove(handler)


class TestMaking:
    def test_the_token_is_not_kept(self, paths):
        token, kept = new_token(paths, (TokenScope.TALK, TokenScope.FEED), "phone")

        text = paths.tokens.read_text()
        assert token not in text
        assert token.removeprefix("sc_") not in text
        assert list_tokens(paths) == (kept,)
        assert (kept.name, kept.scopes) == ("phone", ("talk", "feed"))

    def test_its_file_is_its_owners_alone(self, paths):
        new_token(paths, TALK)

        assert paths.tokens.stat().st_mode & 0o777 == 0o600

    def test_each_is_another(self, paths):
        made = [new_token(paths, TALK) for _ in range(20)]

        assert len({token for token, _ in made}) == 20
        assert len({kept.id for _, kept in made}) == 20
        assert min(len(token) for token, _ in made) >= 43

    @pytest.mark.parametrize("name", ["x" * 201, "two\nlines", "\x1b[2J"])
    def test_a_name_that_is_no_line_is_refused(self, paths, name):
        with pytest.raises(ConfigError, match="expected a name of at most 200"):
            new_token(paths, TALK, name)

        assert not paths.tokens.exists()

    def test_those_that_are_made_at_once_are_all_kept(self, paths):
        threads = [
            threading.Thread(target=new_token, args=(paths, TALK)) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(list_tokens(paths)) == 8


class TestScopes:
    def test_they_are_divided_by_commas(self):
        assert scopes_of("talk, feed,talk") == ("feed", "talk")

    @pytest.mark.parametrize("text", ["", "talk,", "Talk", "write", "talk;feed"])
    def test_what_is_none_is_refused(self, text):
        with pytest.raises(
            ConfigError, match=r"scopes out of feed, talk, read, admin, .* got '"
        ):
            scopes_of(text)

    def test_admin_is_all(self):
        holder = Holder("a", frozenset({TokenScope.ADMIN}))

        assert all(holder.may((scope,)) for scope in TokenScope)

    def test_any_of_several_will_do(self):
        holder = Holder("a", frozenset(TALK))

        assert holder.may((TokenScope.READ, TokenScope.TALK))
        assert not holder.may((TokenScope.READ, TokenScope.FEED))


class TestKnowing:
    def test_a_new_one_is_known_at_once(self, paths, known):
        assert known.holder_of("sc_none") is None

        token, kept = new_token(paths, TALK)

        assert known.holder_of(token) == Holder(kept.id, frozenset(TALK))

    def test_a_revoked_one_is_forgotten_at_once(self, paths, known):
        token, kept = new_token(paths, TALK)
        other, _ = new_token(paths, TALK)
        assert known.holder_of(token)

        assert revoke_token(paths, kept.id) == kept

        assert known.holder_of(token) is None
        assert known.holder_of(other)

    def test_the_homes_own_is_admin(self, known):
        assert known.holder_of(OWN) == Holder(None, frozenset({TokenScope.ADMIN}))

    @pytest.mark.parametrize("token", ["", "sc_", OWN[:-1], f"{OWN}x", "s3cr\xe9t"])
    def test_what_is_none_opens_nothing(self, known, token):
        assert known.holder_of(token) is None

    def test_what_is_kept_is_no_token(self, paths, known):
        _, kept = new_token(paths, TALK)

        assert known.holder_of(kept.sha256) is None
        assert known.holder_of(kept.id) is None


class TestRevoking:
    def test_an_id_that_is_none_is_refused(self, paths):
        new_token(paths, TALK)

        with pytest.raises(NotFoundError, match="got 'nope'; see: sleepcycle token"):
            revoke_token(paths, "nope")


BROKEN = {
    "no JSON": b"{",
    "no text": b"\xff\xfe",
    "another shape": b'{"tokens": [{"id": 1}]}',
    "a list": b"[]",
    "an unknown scope": json.dumps(
        {
            "tokens": [
                {
                    "id": "a",
                    "name": "",
                    "scopes": ["root"],
                    "sha256": "0" * 64,
                    "made_at": "2026-01-01T00:00:00+00:00",
                }
            ]
        }
    ).encode(),
    "much": b" " * 1_000_001,
    "deep": b"[" * 100_000,
}


class TestBrokenFile:
    @pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
    def test_it_lets_in_the_homes_own_alone(self, paths, known, logged, text):
        """
        And the log says so, once.
        """
        token, _ = new_token(paths, TALK)
        assert known.holder_of(token)
        paths.tokens.write_bytes(text)

        assert [known.holder_of(token) for _ in range(3)] == [None] * 3
        assert known.holder_of(OWN)
        [line] = logged
        assert line.startswith("only the home's own token is let in: expected tokens")

    @pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
    def test_it_is_left_as_it_is(self, paths, text):
        paths.tokens.write_bytes(text)

        for change in (
            lambda: new_token(paths, TALK),
            lambda: list_tokens(paths),
            lambda: revoke_token(paths, "a"),
        ):
            with pytest.raises(ServiceError, match=r"tokens\.json .*; delete it and"):
                change()

        assert paths.tokens.read_bytes() == text

    def test_one_that_others_can_write_is_broken(self, paths, known):
        token, _ = new_token(paths, TALK)
        paths.tokens.chmod(0o620)

        assert known.holder_of(token) is None
        with pytest.raises(ServiceError, match="others can write; chmod 600"):
            list_tokens(paths)

    def test_a_pipe_is_not_waited_for(self, paths):
        os.mkfifo(paths.tokens, 0o600)

        with pytest.raises(ServiceError, match="no plain file"):
            list_tokens(paths)

    def test_a_mended_one_is_read_again(self, paths, known):
        token, _ = new_token(paths, TALK)
        whole = paths.tokens.read_bytes()
        paths.tokens.write_bytes(b"{")
        assert known.holder_of(token) is None

        paths.tokens.write_bytes(whole)

        assert known.holder_of(token)
