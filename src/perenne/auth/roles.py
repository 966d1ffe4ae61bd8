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
    CALLER = "caller"


class Action(StrEnum):
    """What can be allowed."""

    READ = "read"
    LOG = "log runs and register versions"
    COMMENT = "label, give feedback and comment"
    ADJUDICATE = "decide what labellers differ on"
    OPEN_REVIEW = "open a review"
    APPROVE_TECHNICAL = "approve the technical stage"
    APPROVE_BUSINESS = "approve the business stage"
    DEPLOY = "deploy"
    EDIT_PROJECT = "edit the project"
    BREAK_GLASS = "break glass"
    READ_AUDIT = "read the audit trail"
    ADMINISTER = "administer the server"
    DESCRIBE = "see what a model server serves"
    PREDICT = "call models"


_R = Role
PERMISSIONS: dict[Action, frozenset[Role]] = {
    Action.READ: frozenset(Role) - {_R.CALLER},
    Action.LOG: frozenset({_R.CONTRIBUTOR, _R.VALIDATOR, _R.OWNER}),
    Action.COMMENT: frozenset({_R.CONTRIBUTOR, _R.REVIEWER, _R.VALIDATOR, _R.APPROVER, _R.DEPLOYER, _R.OWNER}),
    Action.ADJUDICATE: frozenset({_R.REVIEWER, _R.VALIDATOR, _R.OWNER}),
    Action.OPEN_REVIEW: frozenset(Role) - {_R.VIEWER, _R.ADMIN, _R.CALLER},
    Action.APPROVE_TECHNICAL: frozenset({_R.VALIDATOR}),
    Action.APPROVE_BUSINESS: frozenset({_R.APPROVER}),
    Action.DEPLOY: frozenset({_R.DEPLOYER, _R.OWNER}),
    Action.EDIT_PROJECT: frozenset({_R.OWNER}),
    Action.BREAK_GLASS: frozenset({_R.OWNER}),
    Action.READ_AUDIT: frozenset({_R.OWNER, _R.AUDITOR, _R.ADMIN}),
    Action.ADMINISTER: frozenset({_R.ADMIN}),
    Action.DESCRIBE: frozenset(Role),
    Action.PREDICT: frozenset(Role) - {_R.VIEWER, _R.AUDITOR, _R.ADMIN},
}


def allowed(principal: "Principal", action: Action) -> bool:
    """Tell whether any of the principal's roles allows the action."""
    return not PERMISSIONS[action].isdisjoint(principal.roles)


def sees(principal: "Principal", project: str) -> bool:
    """Tell whether a project lies within what the principal is limited to."""
    return not principal.projects or project in principal.projects


def require(principal: "Principal", action: Action, project: str | None = None) -> None:
    """Go on only if the action is allowed.

    Parameters
    ----------
    principal : Principal
        Who acts.
    action : Action
        What is to be done.
    project : str, optional
        In which project; None for what concerns the whole installation, which a principal limited to projects may not touch.

    Raises
    ------
    Denied
        If no role of the principal allows it, with the roles that would; or if it is limited to other projects.
    """
    if not allowed(principal, action):
        roles = ", ".join(sorted(PERMISSIONS[action]))
        raise Denied(f"{principal.name} may not {action.value}", code="auth.denied", hint=f"one of these roles may: {roles}")
    if principal.projects and (project is None or project not in principal.projects):
        limits = ", ".join(sorted(principal.projects))
        raise Denied(
            f"{principal.name} may not {action.value} here", code="auth.scope", hint=f"the token is for these projects: {limits}"
        )
