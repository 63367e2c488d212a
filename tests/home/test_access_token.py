"""The token: made once, its owner's alone, and refused where it could be guessed."""

import os
import time

import pytest

from sleepcycle.errors import ServiceError
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.access_token import prove, read_token, token_of

GOOD = "abcdefghijklmnopqrstuvwxyz-0123456789"


@pytest.fixture
def paths(tmp_path):
    """A folder in which a token may lie."""
    return HomePaths(tmp_path)


def mode_of(path):
    return path.stat().st_mode & 0o777


def test_it_is_made_once_for_its_owner_alone(paths):
    token = token_of(paths)

    assert len(token) >= 43
    assert mode_of(paths.token) == 0o600
    paths.token.chmod(0o644)
    assert token_of(paths) == read_token(paths) == token
    assert mode_of(paths.token) == 0o600


def test_one_that_the_owner_chose_is_taken(paths):
    paths.token.write_text(f"{GOOD}\n")

    assert token_of(paths) == GOOD


def test_reading_leaves_the_mode_alone(paths):
    paths.token.write_text(GOOD)
    paths.token.chmod(0o640)

    read_token(paths)

    assert mode_of(paths.token) == 0o640


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"", "0 characters, which can be guessed"),
        (b"a", "1 characters, which can be guessed"),
        (b"short-0123456789", "16 characters, which can be guessed"),
        (b"a" * 43, "43 characters, which can be guessed"),
        (b"\xff\xfe\x00", "what is no such text"),
        ("ключ-от-дома-ключ-от-дома-ключ".encode(), "what is no such text"),
        (GOOD.encode() + b"\r\nX-Other: 1", "what is no such text"),
        (GOOD.encode() * 100, "what is no such text"),
    ],
)
def test_what_is_no_secret_text_is_refused(paths, text, found):
    paths.token.write_bytes(text)

    for read in (token_of, read_token):
        with pytest.raises(ServiceError, match=f"got: {found}; delete it and start"):
            read(paths)


def test_a_link_is_refused_and_its_target_left_alone(paths, tmp_path_factory):
    target = tmp_path_factory.mktemp("outside") / "theirs"
    target.write_text(GOOD)
    target.chmod(0o644)
    paths.token.symlink_to(target)

    with pytest.raises(ServiceError, match="got: a link; delete it and start"):
        token_of(paths)

    assert mode_of(target) == 0o644


def test_a_link_that_leads_nowhere_is_refused(paths, tmp_path):
    paths.token.symlink_to(tmp_path / "none")

    with pytest.raises(ServiceError, match="got: a link; delete it and start"):
        token_of(paths)

    assert not (tmp_path / "none").exists()


def test_a_file_with_a_name_outside_keeps_its_mode(paths, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "theirs"
    outside.write_text(GOOD)
    outside.chmod(0o644)
    os.link(outside, paths.token)

    with pytest.raises(ServiceError, match="others can read, and that has other names"):
        token_of(paths)

    assert mode_of(outside) == 0o644


def test_a_folder_is_refused(paths):
    paths.token.mkdir()

    with pytest.raises(ServiceError, match=r"got: .*; delete it and start"):
        token_of(paths)


def test_a_pipe_is_not_waited_for(paths):
    os.mkfifo(paths.token)
    began = time.monotonic()

    with pytest.raises(ServiceError, match="got: no plain file; delete it and start"):
        token_of(paths)

    assert time.monotonic() - began < 10


def test_one_that_is_gone_is_not_made_by_who_only_reads(paths):
    with pytest.raises(ServiceError, match="got: No such file"):
        read_token(paths)

    assert not paths.token.exists()


def test_a_proof_is_of_token_challenge_and_place():
    proofs = {
        prove(token, challenge, place)
        for token in ("a", "b")
        for challenge in ("a", "b")
        for place in ("127.0.0.1:1", "127.0.0.1:2")
    }

    assert len(proofs) == 8
