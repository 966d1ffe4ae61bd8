"""Thousands of models searched, and registrations by many processes of which some are killed in the middle."""

import signal
import subprocess
import sys
from typing import Any

import sqlalchemy as sa
from tests.registry.people import ADA, write

from perenne.auth import audit
from perenne.registry import finding, model_store, models, registrations, service, store
from perenne.registry.model import GatePolicy, RegisteredModel, Version, VersionForm, VersionState
from perenne.registry.views import model_window
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

MODELS = 2_000

CHILD = """
import sys
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.registry import registrations
from perenne.storage.database import Database

actor = Principal("ada", roles=frozenset(Role))
with Database(sys.argv[1]) as database:
    while True:
        made = database.write(lambda tx: registrations.create(tx, actor, "fraud", "s3://b/m", tags={"a": "1"}))
        print(made.number, flush=True)
"""


def fill(tx: Transaction) -> None:
    """Put in many models with one version and a tag each."""
    for number in range(MODELS):
        name = f"model-{number:05d}"
        model_store.insert(tx, RegisteredModel(name, f"p{number % 7}", None, number, number, "ada"))
        model_store.insert_tags(tx, model_store.model_tag, name, {"team": f"t{number % 10}"})
        version = Version(
            f"{name}@1", name, 1, f"p{number % 7}", "", "", "", "", VersionState.CANDIDATE, GatePolicy(), None, number, "ada",
            form=VersionForm.LOGGED, source="s3://b/m", updated=number,
        )  # fmt: skip
        store.insert_version(tx, version, waiting=None)


class Counted:
    """Counts the statements of a transaction."""

    def __init__(self, tx: Transaction) -> None:
        self.number = 0
        sa.event.listen(tx.connection, "before_cursor_execute", self._count)

    def _count(self, *_: Any) -> None:
        self.number += 1


def test_a_page_of_thousands_of_models_asks_once_for_each_kind_of_thing(workspace: Workspace) -> None:
    workspace.database.write(fill)
    with workspace.database.read() as tx:
        counted = Counted(tx)
        page = finding.find_models(tx, ADA, "tags.team = 't3' AND name LIKE 'model-01%'", ["name DESC"], limit=20)
        assert [model.name for model in page.models][:2] == ["model-01993", "model-01983"] and page.token
        entries = models.entries(tx, page.models)
        registrations.entries(tx, [version for entry in entries for version in entry.latest])
        assert counted.number <= 8
        counted = Counted(tx)
        window = model_window(tx, ADA, order="-updated", limit=200)
        assert (len(window.rows), window.total, window.rows[0].model) == (200, MODELS, "model-01999")
        assert counted.number <= 14, "whatever the number of rows"


def test_killed_registrations_leave_no_half_version_and_no_number_twice(workspace: Workspace) -> None:
    write(workspace, models.create, ADA, "fraud")
    said: list[int] = []
    for round_ in range(2):
        children = [
            subprocess.Popen([sys.executable, "-c", CHILD, workspace.settings.database], stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        for child in children:
            assert child.stdout is not None
            said += [int(child.stdout.readline()) for _ in range(3 + round_)]
        for child in children:
            child.send_signal(signal.SIGKILL)
        for child in children:
            said += [int(line) for line in child.communicate()[0].splitlines(keepends=True) if line.endswith("\n")]
    assert len(said) == len(set(said)), "a number was told twice"
    with workspace.database.read() as tx:
        found = service.versions(tx, "fraud", limit=10_000)
        numbers = {version.number for version in found}
        assert set(said) <= numbers and numbers == set(range(1, len(numbers) + 1))
        assert all(entry.tags == {"a": "1"} for entry in registrations.entries(tx, found))
        registered = [record for record in audit.trail(tx, entity="version", limit=10_000) if record.action == "version.register"]
        assert {record.entity_id for record in registered} == {version.id for version in found}
        assert audit.verify(tx).bad_seq is None
