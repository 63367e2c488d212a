"""The commands of tokens: what a script gets, and what nobody gets again."""

import json

import pytest


def test_a_new_one_is_printed_alone(cli):
    printed = cli.run("token", "new", "--scope", "talk,feed").stdout

    assert printed.startswith("sc_")
    assert len(printed.split()) == 1
    assert printed.endswith("\n")


def test_it_is_never_printed_again(cli):
    made = json.loads(cli.run("token", "new", "--scope", "read", "--json").stdout)

    for words in (["token", "list"], ["token", "list", "--json"]):
        printed = cli.run(*words).stdout
        assert made["id"] in printed
        assert made["token"] not in printed


def test_a_revoked_one_is_not_listed(cli):
    words = ("token", "new", "--scope", "read", "--name", "phone", "--json")
    made = json.loads(cli.run(*words).stdout)

    assert cli.run("token", "revoke", made["id"]).stdout == (
        f"revoked {made['id']} (phone)\n"
    )

    listed = json.loads(cli.run("token", "list", "--json").stdout)
    assert made["id"] not in {each["id"] for each in listed}
    assert "expected the id of a token" in (
        cli.run("token", "revoke", made["id"], exit_code=1).stderr
    )


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--scope", "write"], 1, "expected scopes out of feed, talk, read, admin"),
        (["--scope", ""], 1, "expected scopes out of"),
        (["--scope", "read", "--name", "two\nlines"], 1, "on one line"),
        ([], 2, "Missing option"),
    ],
)
def test_what_is_no_token_is_not_made(cli, words, code, said):
    done = cli.run("token", "new", *words, exit_code=code)

    assert said in done.stderr
    assert done.stdout == ""


def test_a_broken_file_is_named(cli):
    (cli.home / "tokens.json").write_text("{")

    for words in (["list"], ["new", "--scope", "read"], ["revoke", "x"]):
        said = cli.run("token", *words, exit_code=1).stderr
        assert "expected tokens.json in" in said
        assert "delete it and make new tokens" in said
