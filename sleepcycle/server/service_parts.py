"""The parts of a service that its routes, and the dashboard over them, work with."""

from dataclasses import dataclass

from sleepcycle.daemon.scheduler import Scheduler
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.home import Home
from sleepcycle.server.arrival_desk import ArrivalDesk
from sleepcycle.server.feed_desk import FeedDesk
from sleepcycle.server.heavy_work import HeavyWork
from sleepcycle.server.sessions import BrowserSessions
from sleepcycle.server.talk import Talk
from sleepcycle.settings.serveconfig import ServeSettings

USER = "user"  # who acts, for the journal


@dataclass(frozen=True)
class ServiceParts:
    """What one service is made of, each part once."""

    scheduler: Scheduler
    paths: HomePaths
    settings: ServeSettings
    talk: Talk
    feeds: FeedDesk
    arrivals: ArrivalDesk
    heavy: HeavyWork
    sessions: BrowserSessions

    def home(self) -> Home:
        """Return the home, under the settings of the moment."""
        return Home(self.paths, self.scheduler.settings, USER)
