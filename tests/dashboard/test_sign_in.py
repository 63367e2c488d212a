"""A browser signs in by a link that works once, and is then known by its cookie."""

import re

import pytest

from sleepcycle.home.scoped_tokens import (
    TokenScope,
    list_tokens,
    new_token,
    revoke_token,
)
from sleepcycle.server import sessions
from tests.server.conftest import TOKEN


class TestLink:
    def test_it_signs_in_and_leads_to_the_first_page(self, dashboard):
        browser = dashboard.stranger()

        answer = browser.send("GET", dashboard.link())

        assert (answer.status, answer.to) == (303, "/")
        cookie = answer.headers["Set-Cookie"]
        for part in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=2592000"):
            assert part in cookie
        assert browser.get("/").status == 200

    def test_it_works_once(self, dashboard):
        link = dashboard.link()
        dashboard.stranger().send("GET", link)

        second = dashboard.stranger()
        page = second.send("GET", link)

        assert page.status == 401
        assert "make a new one: sleepcycle open" in page.words
        assert not second.cookie

    def test_it_works_for_ten_minutes(self, dashboard, monkeypatch):
        monkeypatch.setattr(sessions, "LINK_S", -1.0)

        page = dashboard.stranger().send("GET", dashboard.link())

        assert page.status == 401

    def test_it_can_be_tried_again_where_no_token_could_be_made(self, dashboard):
        dashboard.paths.tokens.write_text("torn")
        link = dashboard.link()

        assert dashboard.stranger().send("GET", link).status == 409
        dashboard.paths.tokens.unlink()
        assert dashboard.stranger().send("GET", link).status == 303

    def test_only_who_has_the_scope_gets_one(self, dashboard):
        token, _ = new_token(dashboard.paths, (TokenScope.READ,))

        answer = dashboard.stranger().send(
            "POST", "/api/sign-in-links", {}, Authorization=f"Bearer {token}"
        )

        assert answer.status == 403

    def test_a_link_that_nobody_made_signs_nobody_in(self, dashboard):
        assert dashboard.stranger().send("GET", "/sign-in?code=x").status == 401


class TestSession:
    def test_who_is_not_signed_in_is_told_how(self, dashboard):
        stranger = dashboard.stranger()

        assert stranger.send("GET", "/").to == "/sign-in"
        assert "sleepcycle open" in stranger.get("/").words
        assert stranger.send("POST", "/pause", {}).status == 401
        assert not dashboard.scheduler.asked

    def test_it_is_a_token_that_is_listed_and_can_be_revoked(self, dashboard, browser):
        [kept] = list_tokens(dashboard.paths)
        assert kept.name == "browser"

        revoke_token(dashboard.paths, kept.id)

        assert browser.send("GET", "/").to == "/sign-in"

    def test_signing_out_ends_it(self, dashboard, browser):
        cookie = browser.cookie

        assert browser.send("POST", "/sign-out", {}).to == "/sign-in"

        assert not list_tokens(dashboard.paths)
        browser.cookie = cookie
        assert browser.send("GET", "/").to == "/sign-in"

    def test_the_cookie_of_another_home_opens_nothing(self, dashboard, browser):
        _, _, value = browser.cookie.partition("=")
        browser.cookie = f"sleepcycle_{'0' * 12}={value}"

        assert browser.send("GET", "/").to == "/sign-in"

    @pytest.mark.parametrize("site", ["same-site", "cross-site"])
    def test_another_page_can_send_no_form(self, dashboard, browser, site):
        """
        A page on another port of this machine is of the same site, so that its
        requests have the cookie.
        """
        answer = browser.send("POST", "/pause", {}, Sec_Fetch_Site=site)

        assert answer.status == 403
        assert not dashboard.scheduler.asked

    def test_a_form_of_another_origin_is_refused(self, dashboard, browser):
        answer = browser.send("POST", "/pause", {}, Origin="http://127.0.0.1:1")

        assert answer.status == 403
        assert not dashboard.scheduler.asked

    def test_a_header_goes_before_the_cookie(self, browser):
        answer = browser.send("GET", "/", Authorization="Bearer wrong")

        assert answer.to == "/sign-in"

    def test_a_read_token_reads_and_moves_nothing(self, dashboard):
        token, _ = new_token(dashboard.paths, (TokenScope.READ,))
        bearer = f"Bearer {token}"
        browser = dashboard.stranger()

        assert browser.send("GET", "/", Authorization=bearer).status == 200
        assert browser.send("POST", "/pause", {}, Authorization=bearer).status == 403


class TestPage:
    def test_each_has_a_policy_without_exceptions(self, browser):
        policy = browser.send("GET", "/").headers["Content-Security-Policy"]

        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "data:" not in policy

    def test_each_error_is_a_page_with_the_policy(self, browser):
        page = browser.send("GET", "/nothing")

        assert page.status == 404
        assert "There is no such page" in page.words
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]

    def test_an_error_that_nobody_foresaw_is_a_page(self, dashboard, browser):
        dashboard.scheduler.error = RuntimeError("s3cret detail")

        page = browser.send("POST", "/wake", {})

        assert page.status == 500
        assert "that nobody foresaw, RuntimeError; see its log" in page.words
        assert "s3cret" not in page.text
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]

    def test_errors_of_the_api_stay_json(self, browser):
        page = browser.send("GET", "/api/runs/999")

        assert page.status == 404
        assert page.headers["Content-Type"] == "application/json"

    def test_no_page_has_a_script_or_a_style_of_its_own(self, browser):
        text = browser.get("/").text

        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", text)
        assert "hx-on" not in text

    def test_the_token_of_the_home_is_on_none(self, browser):
        assert TOKEN not in browser.get("/").text
