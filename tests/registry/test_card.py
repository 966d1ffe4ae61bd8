"""The model card: what is not recorded is said to be unknown, and what users wrote cannot become markup."""

from typing import Any

import pytest
from click.testing import CliRunner

from perenne.auth.principals import Principal
from perenne.core.errors import NotFound
from perenne.registry import Evidence, GatePolicy, Verdict, register
from perenne.registry.card import Card, card
from perenne.registry.card_text import markdown
from perenne.registry.commands import model
from perenne.storage.workspace import Workspace

WRITTEN = "[x](javascript:1) | `a` <b>"


@pytest.fixture
def version(workspace: Workspace, actor: Principal) -> str:
    fact = Evidence(
        check="objective: auc ≥ 0.6", verdict=Verdict.PASS, value=0.7, limit=0.6, detail="[x](javascript:1) | `a` <b>"
    )
    said: dict[str, Any] = {"tree": "t" * 64, "reference": "", "snapshot": "s" * 64, "run": "", "fallback": 0}
    return workspace.database.write(
        lambda tx: (
            register(
                tx,
                actor,
                model="churn",
                project="gone",
                policy=GatePolicy((fact.check, "data: validation")),
                evidence=[fact],
                **said,
            ).id
        )
    )


def test_what_is_not_recorded_is_unknown(workspace: Workspace, version: str) -> None:
    found = card(workspace, version)
    assert (found.purpose, found.estimator, found.inputs, found.figures) == ("", "", (), ())
    assert found.unknown == "It was made by no run that is known here." and found.gate == "closed"
    assert "No scope is stated" in found.limits[0]
    text = markdown(found)
    assert "- For: unknown" in text and "Nobody has decided." in text
    assert "data: validation: no evidence" in text
    with pytest.raises(NotFound):
        card(workspace, "churn@9")


def test_what_users_wrote_stays_text(workspace: Workspace, version: str) -> None:
    text = markdown(card(workspace, version))
    assert "[x](javascript" not in text and " <b>" not in text and " `a`" not in text
    (row,) = [line for line in text.splitlines() if line.startswith("| objective")]
    assert row.replace("\\|", "").count("|") == 6


def test_the_command_prints_it_and_gives_the_data(workspace: Workspace, version: str) -> None:
    done = CliRunner().invoke(model, ["card", version], obj=workspace, standalone_mode=False)
    assert done.exception is None
    assert isinstance(done.return_value.value, Card)
    assert done.return_value.shown.startswith("# Model card: churn@1")
