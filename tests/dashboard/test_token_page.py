"""Tokens are made, shown once, and revoked once that was asked."""

import re

import pytest

from sleepcycle.home.scoped_tokens import TokenScope, list_tokens

TOKENS = "/care/tokens"


def made(browser, name="box", scopes=("talk", "read")):
    """Make a token, and return it."""
    fields = [("name", name), *(("scope", scope) for scope in scopes)]
    page = browser.send("POST", TOKENS, fields)
    [token] = re.findall(r'value="(sc_[^"]+)"', page.text)
    assert page.headers["Cache-Control"] == "no-store"
    return token


class TestMaking:
    def test_it_is_shown_once_and_opens_what_it_may(self, dashboard, browser):
        token = made(browser)

        [kept] = [one for one in list_tokens(dashboard.paths) if one.name == "box"]
        assert kept.scopes == (TokenScope.TALK, TokenScope.READ)
        assert token not in browser.get(TOKENS).text
        bearer = {"Authorization": f"Bearer {token}"}
        other = dashboard.stranger()
        assert other.send("GET", "/care", **bearer).status == 200
        assert other.send("GET", TOKENS, **bearer).status == 403

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ([("name", "box")], "expected at least one thing that it may do"),
            ([("name", "box"), ("scope", "all")], "expected scopes out of"),
            ([("name", "x" * 201), ("scope", "talk")], "expected a name of at most"),
        ],
    )
    def test_what_is_wrong_is_said_and_kept(self, browser, fields, said):
        page = browser.send("POST", TOKENS, fields)

        assert page.status == 422
        assert said in page.words
        assert f'value="{fields[0][1]}"' in page.text

    def test_its_name_is_only_text(self, browser):
        made(browser, "<script>x</script>")

        assert "<script>x" not in browser.get(TOKENS).text


class TestRevoking:
    def test_it_is_asked_first(self, dashboard, browser):
        token = made(browser)
        [kept] = [one for one in list_tokens(dashboard.paths) if one.name == "box"]

        asked = browser.get(f"{TOKENS}/{kept.id}/revoke")
        page = browser.post(f"{TOKENS}/{kept.id}/revoke")

        assert "Revoke this token?" in asked.words
        assert "The token box opens nothing any more." in page.words
        bearer = {"Authorization": f"Bearer {token}"}
        assert dashboard.stranger().send("GET", "/care", **bearer).to == "/sign-in"

    def test_one_that_is_not_there_is_said(self, browser):
        assert browser.get(f"{TOKENS}/x/revoke").status == 404
        assert browser.send("POST", f"{TOKENS}/x/revoke", {}).status == 404
