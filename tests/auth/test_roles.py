"""Who may do what: the table of governance §5.1, and who stands behind a policy."""

import pytest

from perenne.auth.principals import Principal, PrincipalKind, local_principal, policy_principal
from perenne.auth.roles import PERMISSIONS, Action, Role, allowed, require
from perenne.core.errors import Denied

TABLE = """
read                                   viewer contributor reviewer validator approver deployer owner auditor admin
log runs and register versions         contributor validator owner
label, give feedback and comment       contributor reviewer validator approver deployer owner
decide what labellers differ on        reviewer validator owner
open a review                          contributor reviewer validator approver deployer owner auditor
approve the technical stage            validator
approve the business stage             approver
deploy                                 deployer owner
edit the project                       owner
break glass                            owner
read the audit trail                   owner auditor admin
administer the server                  admin
see what a model server serves         viewer contributor reviewer validator approver deployer owner auditor admin caller
call models                            contributor reviewer validator approver deployer owner caller
"""


def test_the_permissions_are_those_of_the_specification() -> None:
    lines = [line for line in TABLE.splitlines() if line]
    expected = {Action(line[:39].strip()): frozenset(Role(name) for name in line[39:].split()) for line in lines}
    assert expected == PERMISSIONS


@pytest.mark.parametrize("action", Action)
def test_what_no_role_allows_is_denied_and_the_hint_says_who_may(action: Action) -> None:
    nobody = Principal("nobody")
    assert not allowed(nobody, action)
    with pytest.raises(Denied) as error:
        require(nobody, action)
    assert all(role in error.value.hint for role in PERMISSIONS[action])


def test_a_policy_never_approves_and_names_its_owner() -> None:
    policy = policy_principal("flights", "ada")
    assert (policy.kind, policy.on_behalf_of) == (PrincipalKind.POLICY, "ada")
    assert allowed(policy, Action.LOG) and allowed(policy, Action.DEPLOY)
    assert not allowed(policy, Action.APPROVE_BUSINESS) and not allowed(policy, Action.APPROVE_TECHNICAL)


def test_on_one_machine_there_is_one_person_with_every_role() -> None:
    assert all(allowed(local_principal(), action) for action in Action)
