"""What a route of the control plane asks for, declared where it is written; a server does not start with one that says nothing.

@needs(Action.READ)
async def get_status(request): ...
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias, TypeVar

from perenne.auth.roles import Action
from perenne.storage.transaction import Transaction

E = TypeVar("E", bound=Callable[..., Any])
Scope: TypeAlias = Callable[[Transaction, Mapping[str, str]], str]
"""Finds the project of what a request names, from the store; raises NotFound if there is no such thing."""

JSON_TYPES = ("application/json",)


class Needs(NamedTuple):
    """What a route asks for.

    Attributes
    ----------
    action : Action or None
        What the caller must be allowed to do; None lets everybody in.
    project : callable, optional
        Finds the project of what is asked for. Without it, whoever is limited to projects is refused.
    filters : bool
        Whether the route itself leaves out what the caller may not see.
    accepts : tuple of str
        The types a body may have.
    """

    action: Action | None
    project: Scope | None = None
    filters: bool = False
    accepts: tuple[str, ...] = JSON_TYPES


def needs(
    action: Action | None, *, project: Scope | None = None, filters: bool = False, accepts: tuple[str, ...] = JSON_TYPES
) -> Callable[[E], E]:
    """Declare what an endpoint asks for; see `Needs`."""

    def declare(endpoint: E) -> E:
        endpoint.needs = Needs(action, project, filters, accepts)  # type: ignore[attr-defined]
        return endpoint

    return declare


def declared(endpoint: Any) -> Needs | None:
    """Return what an endpoint declares; None if it says nothing."""
    found: Needs | None = getattr(endpoint, "needs", None)
    return found
