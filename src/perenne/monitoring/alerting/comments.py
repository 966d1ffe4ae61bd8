"""What people write to an alert."""

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.core.errors import Invalid
from perenne.core.ids import new_id
from perenne.monitoring.alerting import store
from perenne.monitoring.alerting.model import Comment
from perenne.monitoring.alerts import commentable
from perenne.storage.database import Transaction

LONGEST = 5_000


def add(tx: Transaction, actor: Principal, identity: str, text: str, now: int) -> Comment:
    """Write to an alert, also to one that has ended. Raises NotFound, Denied, Invalid."""
    alert = commentable(tx, actor, identity)
    words = text.strip()
    if not words or len(words) > LONGEST:
        problem = "says nothing" if not words else f"is longer than {LONGEST:,} characters"
        raise Invalid(f"the comment {problem}", code="alert.comment", hint="a few sentences will do")
    made = Comment(new_id(), alert.id, actor.name, now, words)
    store.add_comment(tx, made)
    named = {"deployment": alert.deployment, "rule": alert.rule, "text": words[:500]}
    audit.record(tx, actor, "alert.comment", "alert", alert.id, after=named)
    return made
