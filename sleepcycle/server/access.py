"""What a route asks of who calls it: scopes of the token, and the size of the body."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from sleepcycle.errors import ConfigError
from sleepcycle.home.scoped_tokens import TokenScope

MAX_BODY = 1_000_000  # bytes, where a route says nothing else
MARK = "access"

Endpoint = TypeVar("Endpoint", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call a route, with what body."""

    scopes: tuple[TokenScope, ...]
    """A token needs one of them, or admin; where there is none, none is needed."""

    max_body_bytes: int | None = MAX_BODY
    """None for any size."""

    chunked: bool = False
    """Whether a body may come without its size."""


def needs(
    *scopes: TokenScope, max_body_bytes: int | None = MAX_BODY, chunked: bool = False
) -> Callable[[Endpoint], Endpoint]:
    """Declare what an endpoint asks for, below the decorator that makes it a route.

    Args:
        *scopes: The token needs one of them; admin opens all.
        max_body_bytes: The largest body; None for any, which the route then streams.
        chunked: Whether a body may come without its size; it is cut off at the bound.
    """
    if not scopes:
        raise ConfigError("expected a scope, got none; or declare @open_to_all")
    return _declare(Access(scopes, max_body_bytes, chunked))


def open_to_all(endpoint: Endpoint) -> Endpoint:
    """Declare that an endpoint needs no token."""
    return _declare(Access(()))(endpoint)


@dataclass(frozen=True, slots=True)
class RouteTable:
    """Each route with what it asks for; what is not in it is not served."""

    routes: tuple[tuple[APIRoute, Access], ...]

    def find(self, scope: Scope) -> Access | frozenset[str]:
        """Return what the route of a request asks for, or the methods of its path."""
        methods: set[str] = set()
        for route, access in self.routes:
            match, _ = route.matches(scope)
            if match is Match.FULL:
                return access
            if match is Match.PARTIAL:
                methods |= route.methods or set()
        return frozenset(methods)


def table_of(routes: Iterable[BaseRoute]) -> RouteTable:
    """Return the table of an app's routes.

    Raises:
        ConfigError: One has not declared what it asks for.
    """
    return RouteTable(tuple(_declared(route) for route in routes))


def _declare(access: Access) -> Callable[[Endpoint], Endpoint]:
    """Return a decorator that leaves a mark on an endpoint."""

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, MARK, access)
        return endpoint

    return mark


def _declared(route: BaseRoute) -> tuple[APIRoute, Access]:
    """Return a route with what it asks for."""
    if not isinstance(route, APIRoute):
        raise ConfigError(
            f"expected routes of the app itself, got {type(route).__name__}; add them "
            "with @app.get and the like, not by a router or a mount"
        )
    access = getattr(route.endpoint, MARK, None)
    if not isinstance(access, Access):
        words = f"{' '.join(sorted(route.methods or ()))} {route.path}"
        raise ConfigError(
            f"expected the route {words} to declare its scope, got none; put @needs "
            "or @open_to_all on its endpoint"
        )
    return route, access
