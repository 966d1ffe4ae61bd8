"""`perenne audit`."""

import json
from typing import Any

import pytest

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.cli import main
from perenne.core.config import Settings
from perenne.storage.database import Database


@pytest.fixture(autouse=True)
def trail(database: Database, actor: Principal, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERENNE_HOME", str(settings.home))
    for number in range(3):
        database.write(lambda tx: audit.record(tx, actor, "thing.do", "thing", f"t{number}", reason="why"))  # noqa: B023


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = main(["audit", *arguments, "--json"])
    output = capsys.readouterr()
    return code, json.loads(output.out or output.err)


def test_records_are_listed_newest_first(capsys: pytest.CaptureFixture[str]) -> None:
    code, rows = call(capsys, "list", "--limit", "2")
    assert code == 0
    assert [(row["seq"], row["thing"], row["who"]) for row in rows] == [(3, "thing t2", "ada"), (2, "thing t1", "ada")]
    assert [row["seq"] for row in call(capsys, "list", "--entity", "thing", "--id", "t0")[1]] == [1]


def test_a_good_trail_prints_the_head_that_proves_it_later(capsys: pytest.CaptureFixture[str]) -> None:
    code, shown = call(capsys, "verify")
    assert (code, shown["records"], shown["bad_seq"]) == (0, 3, None)
    assert call(capsys, "verify", "--head", shown["head"])[0] == 0
    code, found = call(capsys, "verify", "--head", "4:" + "0" * 64)
    assert (code, found["bad_seq"], found["problem"]) == (6, 4, "truncated")
    code, error = call(capsys, "verify", "--head", "latest")
    assert (code, error["error_code"]) == (1, "audit.head")


def test_a_bad_trail_exits_with_6(capsys: pytest.CaptureFixture[str], database: Database) -> None:
    def tamper(tx: Any) -> None:
        trigger = "audit_no_update" if database.url.get_backend_name() == "sqlite" else "audit_only_grows ON audit"
        tx.connection.exec_driver_sql(f"DROP TRIGGER {trigger}")
        tx.connection.exec_driver_sql("UPDATE audit SET reason = 'nicer' WHERE seq = 2")

    database.write(tamper)
    code, found = call(capsys, "verify")
    assert (code, found["bad_seq"], found["problem"], found["records"]) == (6, 2, "edited", 1)
