"""The settings on a page: what applies, where it comes from, what it is for."""

from sleepcycle.settings.configfile import load_settings


def test_what_is_not_at_its_default_comes_first(dashboard, browser):
    dashboard.paths.config.write_text("[wake]\nrank = 8\n")
    dashboard.scheduler.settings = load_settings(dashboard.paths.config)

    page = browser.get("/care/settings")

    assert "wake.rank 8 file Rank of the day adapter" in page.words
    assert "busy_timeout_s 60.0 default How long to wait" in page.words
    assert "The file says otherwise" not in page.words


def test_what_the_file_says_by_now_is_told(dashboard, browser):
    dashboard.paths.config.write_text("[wake]\nrank = 8\n")
    assert "read the settings again for it" in browser.get("/care/settings").words

    dashboard.paths.config.write_text("[serve]\nport = 8\n")
    assert "restart the service for these" in browser.get("/care/settings").words


def test_a_file_that_is_broken_is_said_in_words(dashboard, browser):
    dashboard.paths.config.write_text("[wake\n")

    page = browser.get("/care/settings")

    assert page.status == 200
    assert "The file cannot be read now" in page.words
    assert "expected TOML" in page.words
