"""Changing what is kept of a deployment's predictions: an audited change like any other, in force within a second."""

from typing import Any

from msgspec.structs import replace

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.errors import Conflict
from perenne.serving import log_rules, service, store
from perenne.serving.model import Deployment, DeploymentChanged
from perenne.storage.database import Transaction
from perenne.storage.outbox import emit


def change_log(tx: Transaction, actor: Principal, name: str, changes: dict[str, Any], *, reason: str = "") -> Deployment:
    """Change some of a deployment's log rules; those that are not named stay.

    Parameters
    ----------
    changes : dict
        By the names of `LogRules`.

    Raises
    ------
    Invalid
        If a rule cannot be carried out; the message names it.
    Conflict
        If nothing would change.
    """
    before = service.get_deployment(tx, name)
    require(actor, Action.DEPLOY, before.project)
    rules = log_rules.check(replace(before.log, **changes))
    if rules.redact != before.log.redact:
        from perenne.data import privacy

        rules = replace(rules, redact=tuple(map(str, privacy.read_rules(rules.redact))))
    if rules == before.log:
        raise Conflict(f"the log of {name} is kept so already", code="deployment.log_unchanged", hint="nothing is left to do")
    after = replace(before, log=rules, generation=before.generation + 1)
    store.replace(tx, after)
    audit.record(tx, actor, "deployment.log_changed", "deployment", name, before=before, after=after, reason=reason)
    emit(
        tx,
        DeploymentChanged(
            deployment=name,
            project=after.project,
            generation=after.generation,
            change="log_changed",
            version=after.champion.version,
        ),
    )
    return after
