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
    body : type, optional
        What a body is read into, for the description of the API.
    example : optional
        A body that would be taken, as JSON holds it.
    returns : type, optional
        What is answered; a free form if not given.
    status : int
        The status of an answer that says yes.
    """

    action: Action | None
    project: Scope | None = None
    filters: bool = False
    accepts: tuple[str, ...] = JSON_TYPES
    body: Any = None
    example: Any = None
    returns: Any = None
    status: int = 200


def needs(
    action: Action | None,
    *,
    project: Scope | None = None,
    filters: bool = False,
    accepts: tuple[str, ...] = JSON_TYPES,
    body: Any = None,
    example: Any = None,
    returns: Any = None,
    status: int = 200,
) -> Callable[[E], E]:
    """Declare what an endpoint asks for and gives; see `Needs`."""
    declaration = Needs(action, project, filters, accepts, body, example, returns, status)

    def declare(endpoint: E) -> E:
        endpoint.needs = declaration  # type: ignore[attr-defined]
        return endpoint

    return declare


def declared(endpoint: Any) -> Needs | None:
    """Return what an endpoint declares; None if it says nothing."""
    found: Needs | None = getattr(endpoint, "needs", None)
    return found
