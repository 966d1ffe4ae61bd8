"""Roles and what each allows (governance specification §5.1)."""

from enum import StrEnum
from typing import TYPE_CHECKING

from perenne.core.errors import Denied

if TYPE_CHECKING:
    from perenne.auth.principals import Principal


class Role(StrEnum):
    """What a principal is to a project."""

    VIEWER = "viewer"
    CONTRIBUTOR = "contributor"
    REVIEWER = "reviewer"
    VALIDATOR = "validator"
    APPROVER = "approver"
    DEPLOYER = "deployer"
    OWNER = "owner"
    AUDITOR = "auditor"
    ADMIN = "admin"


class Action(StrEnum):
    """What can be allowed."""

    READ = "read"
    LOG = "log runs and register versions"
    COMMENT = "label, give feedback and comment"
    OPEN_REVIEW = "open a review"
    APPROVE_TECHNICAL = "approve the technical stage"
    APPROVE_BUSINESS = "approve the business stage"
    DEPLOY = "deploy"
    EDIT_PROJECT = "edit the project"
    BREAK_GLASS = "break glass"
    READ_AUDIT = "read the audit trail"
    ADMINISTER = "administer the server"


_R = Role
PERMISSIONS: dict[Action, frozenset[Role]] = {
    Action.READ: frozenset(Role),
    Action.LOG: frozenset({_R.CONTRIBUTOR, _R.VALIDATOR, _R.OWNER}),
    Action.COMMENT: frozenset({_R.CONTRIBUTOR, _R.REVIEWER, _R.VALIDATOR, _R.APPROVER, _R.DEPLOYER, _R.OWNER}),
    Action.OPEN_REVIEW: frozenset(Role) - {_R.VIEWER, _R.ADMIN},
    Action.APPROVE_TECHNICAL: frozenset({_R.VALIDATOR}),
    Action.APPROVE_BUSINESS: frozenset({_R.APPROVER}),
    Action.DEPLOY: frozenset({_R.DEPLOYER, _R.OWNER}),
    Action.EDIT_PROJECT: frozenset({_R.OWNER}),
    Action.BREAK_GLASS: frozenset({_R.OWNER}),
    Action.READ_AUDIT: frozenset({_R.OWNER, _R.AUDITOR, _R.ADMIN}),
    Action.ADMINISTER: frozenset({_R.ADMIN}),
}


def allowed(principal: "Principal", action: Action) -> bool:
    """Tell whether any of the principal's roles allows the action."""
    return not PERMISSIONS[action].isdisjoint(principal.roles)


def require(principal: "Principal", action: Action) -> None:
    """Go on only if the action is allowed.

    Raises
    ------
    Denied
        If no role of the principal allows it; the message names the roles that would.
    """
    if not allowed(principal, action):
        roles = ", ".join(sorted(PERMISSIONS[action]))
        raise Denied(f"{principal.name} may not {action.value}", code="auth.denied", hint=f"one of these roles may: {roles}")
