"""What a client registered stands before the same gates: it is packaged first, and what is not known of it is unknown."""

import pytest
from tests.registry.people import ADMIN
from tests.serving.test_preparing import Register, register  # noqa: F401 - the fixture

from perenne.delivery.gates.model import GateRow
from perenne.delivery.gates.running import Wish, run_gates
from perenne.registry import Verdict
from perenne.storage.workspace import Workspace


@pytest.mark.long
@pytest.mark.parametrize("workspace", ["sqlite"], indirect=True)
def test_a_logged_model_is_packaged_asked_and_measured(workspace: Workspace, register: Register) -> None:  # noqa: F811
    version = register("xgboost")
    wanted = {"example", "parity", "objectives", "not-worse", "bill", "signature", "latency", "memory"}
    report = run_gates(workspace, ADMIN, version.id, Wish(just=wanted, only={*wanted} - {"objectives"}))
    rows: dict[str, GateRow] = {row.gate: row for row in report.rows}
    assert {name for name, row in rows.items() if row.verdict is Verdict.PASS} == {"example", "parity", "bill", "signature"}
    assert rows["latency"].value is not None and rows["latency"].value > 0, "measured on the rows that were logged with it"
    assert "no latency is stated" in rows["latency"].detail
    assert rows["memory"].value is not None
    assert not any(row.required for row in rows.values() if row.verdict is Verdict.UNKNOWN)
    assert (report.verdict, report.exit_code) == (Verdict.PASS, 0)
