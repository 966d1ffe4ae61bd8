"""Who acts: a person, a service, or a policy on behalf of the person who wrote it."""

import getpass
from enum import StrEnum

import msgspec

from perenne.auth.roles import Role


class PrincipalKind(StrEnum):
    """What kind of actor a principal is."""

    USER = "user"
    SERVICE = "service"
    POLICY = "policy"
    SYSTEM = "system"


class Principal(msgspec.Struct, frozen=True):
    """Somebody, or something, that acts.

    Attributes
    ----------
    name : str
        How the audit trail calls it.
    kind : PrincipalKind
        Person, service, policy or the system itself.
    roles : frozenset of Role
        What it may do; see `perenne.auth.roles`.
    on_behalf_of : str
        The person or policy an automatic actor acts for, or an empty text.
    projects : frozenset of str
        What it is limited to; empty for the whole installation.
    solo : bool
        Whether there is nobody else: the one person of an installation that listens on loopback.
    """

    name: str
    kind: PrincipalKind = PrincipalKind.USER
    roles: frozenset[Role] = frozenset()
    on_behalf_of: str = ""
    projects: frozenset[str] = frozenset()
    solo: bool = False


def local_principal() -> Principal:
    """Return the one person of an installation that listens on loopback only: every role."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "local"
    return Principal(name, PrincipalKind.USER, frozenset(Role), solo=True)


def policy_principal(project: str, policy_owner: str) -> Principal:
    """Return the actor that automation is: it trains, registers and deploys for a project, and never approves."""
    roles = frozenset({Role.CONTRIBUTOR, Role.DEPLOYER})
    return Principal(f"policy:{project}", PrincipalKind.POLICY, roles, on_behalf_of=policy_owner)
