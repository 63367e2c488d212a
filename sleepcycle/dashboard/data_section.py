"""The section of data: batches, quarantine, and conversations to review."""

from fastapi import FastAPI

from sleepcycle.dashboard.batch_page import add_batch_page
from sleepcycle.dashboard.data_page import PreviewDesk, add_data_page
from sleepcycle.dashboard.previews import PreviewShelf
from sleepcycle.dashboard.quarantine_page import add_quarantine_page
from sleepcycle.dashboard.rendered_examples import RenderedExamples
from sleepcycle.dashboard.review_page import add_review_page
from sleepcycle.dashboard.site import Site

MB = 1_000_000


def add_data_pages(app: FastAPI, site: Site) -> None:
    """Add all pages of what is learned, and what is not."""
    most_bytes = site.parts.settings.max_feed_mb * MB
    desk = PreviewDesk(site, PreviewShelf(site.parts.paths.uploads, most_bytes))
    add_data_page(app, desk)
    add_batch_page(app, site, RenderedExamples())
    add_quarantine_page(app, desk)
    add_review_page(app, site)
