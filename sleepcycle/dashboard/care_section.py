"""The section of care: the doctor, the journal, backups, tokens and settings."""

from fastapi import FastAPI

from sleepcycle.dashboard.care_page import add_care_page
from sleepcycle.dashboard.doctor_page import Examination, add_doctor_page
from sleepcycle.dashboard.journal_page import add_journal_page
from sleepcycle.dashboard.settings_page import add_settings_page
from sleepcycle.dashboard.site import Site
from sleepcycle.dashboard.token_page import add_token_page


def add_care_pages(app: FastAPI, site: Site) -> None:
    """Add all pages that keep a home well."""
    last = Examination()
    add_care_page(app, site, last)
    add_doctor_page(app, site, last)
    add_journal_page(app, site)
    add_token_page(app, site)
    add_settings_page(app, site)
