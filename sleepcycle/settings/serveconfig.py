"""The settings of the service's HTTP: where it listens, and who answers."""

from ipaddress import ip_address
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    model_validator,
)

from sleepcycle.settings.section import HostName, Section, once

LOOPBACK = "127.0.0.1"


def _address(text: str) -> str:
    """Refuse what is no IP address."""
    try:
        return str(ip_address(text))
    except ValueError as error:
        raise ValueError(
            f'expected an IP address of this machine, such as "{LOOPBACK}" or "0.0.0.0"'
        ) from error


class ServeSettings(Section):
    """How the running service is reached; from this machine alone by default."""

    port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Port that it listens on; 0 takes one that is free."""

    bind: Annotated[str, AfterValidator(_address)] = LOOPBACK
    """Address of this machine that it listens on, beside 127.0.0.1; "0.0.0.0" for all
    that it has. Any but a loopback address needs names in `hosts`. There is no TLS:
    tokens and texts can be read on the way, so prefer a proxy that has it."""

    idle_s: NonNegativeFloat = 300.0
    """The process that answers is ended when nobody has asked it for so long, in
    seconds, and started when somebody does; 0 keeps it. A guess."""

    versions: PositiveInt = 4
    """Most versions that it holds side by side; those that were asked longest ago are
    loaded anew. A guess."""

    while_learning: Literal["share", "pause"] = "share"
    """Whether it answers while a wake or a night runs, or refuses and leaves the memory
    to that."""

    hosts: Annotated[list[HostName], AfterValidator(once)] = []
    """Names by which a proxy or a container reaches it, let through in `Host` with any
    port or none, beside 127.0.0.1 and localhost with ours."""

    requests_per_minute: NonNegativeInt = 600
    """Requests of one token in a minute, 0 for as many as come. The token of local
    commands, in the file `token`, is not counted. The default is a guess."""

    max_feed_mb: PositiveInt = 1000
    """Largest body that is fed or kept as a file, in megabytes; all files that are kept
    may have four times that. A guess."""

    @model_validator(mode="after")
    def _expect_hosts(self) -> Self:
        """Refuse to be reached by others under whatever name they choose."""
        if not self.hosts and not ip_address(self.bind).is_loopback:
            raise ValueError(
                f"expected names in serve.hosts by which others may reach {self.bind}, "
                'such as hosts = ["model.example"], got none; or leave serve.bind at '
                f'"{LOOPBACK}"'
            )
        return self
