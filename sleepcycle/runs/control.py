"""The control of a run: what its owner asks of it while it is computed."""

from sleepcycle.records.run_order import RunRequest


class RunControl:
    """Hold at most one request; one thread makes it, another one acts on it."""

    def __init__(self) -> None:
        self._request: RunRequest | None = None
        self.run: int | None = None
        """Number of the run, once it has one."""

    @property
    def request(self) -> RunRequest | None:
        """What is requested; None lets the run go on."""
        return self._request

    def ask(self, request: RunRequest) -> None:
        """Request something; a run that is to be cancelled is not paused instead."""
        if self._request is not RunRequest.CANCEL:
            self._request = request
