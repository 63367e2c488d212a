import os

import pytest

from sleepcycle.doctor.redaction import redaction_of


class TestRedaction:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("{root}/sleepcycle.db is damaged", "<home>/sleepcycle.db is damaged"),
            ("no room on /mnt/a b/c now", "no room on <path>"),
            ("path=/mnt/a", "path=<path>"),
            ("file:/mnt/a", "file:<path>"),
            ("~/models/a b", "<path>"),
            ("see /usr/lib/python3 and /mnt/a", "see /usr/lib/python3 and <path>"),
            ("http://127.0.0.1:80/livez", "http://127.0.0.1:80/livez"),
            ("3 tokens/s", "3 tokens/s"),
            ("token: abc, Bearer abc", "token: <secret> Bearer <secret>"),
            (f"of sc_{'-x' * 21}y here", "of <secret> here"),
            ("got 'a b' and \"c\"", "got '...' and \"...\""),
            ("it's the owner's", "it's the owner's"),
            ("OSError: [Errno 28] No space left", "OSError: [Errno 28] No space left"),
            ("KeyError('what')", "KeyError"),
        ],
    )
    def test_it_keeps_what_is_ours(self, home, text, shown):
        redaction = redaction_of(home.paths, {})

        assert redaction.text(text.format(root=home.paths.root)) == shown

    def test_a_token_that_is_none_takes_no_letters_out(self, home):
        home.paths.token.write_text("a")

        assert redaction_of(home.paths, {}).text("a wake") == "a wake"

    def test_a_pipe_in_its_place_is_not_waited_for(self, home):
        os.mkfifo(home.paths.token)

        assert redaction_of(home.paths, {}).text("a wake") == "a wake"

    def test_the_users_name_goes(self, home, monkeypatch):
        monkeypatch.setenv("LOGNAME", "annabella")

        assert redaction_of(home.paths, {}).text("annabella's") == "<user>'s"

    def test_a_field_named_secret_goes_whatever_it_holds(self, home):
        record = {"api_key": "abc", "tokens": 3, "inner": [{"password": "abc"}]}

        assert redaction_of(home.paths, {}).record(record) == {
            "api_key": "<secret>",
            "tokens": 3,
            "inner": [{"password": "<secret>"}],
        }
