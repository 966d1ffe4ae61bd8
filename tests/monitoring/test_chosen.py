"""A project that chose a statistic is judged by it, and told its value and its limit."""

import msgspec
from tests.monitoring.conftest import Spool, make_rows

from perenne.core.clock import HOUR
from perenne.monitoring import store
from perenne.monitoring.findings import findings_of
from perenne.monitoring.intake import collect
from perenne.monitoring.judge import judge_span
from perenne.monitoring.model import Cause, Outcome, Stream, Watch, WindowKey, WindowVerdict
from perenne.projects import Monitoring
from perenne.stats.cells import Reference
from perenne.storage.workspace import Workspace


def judged(workspace: Workspace, watched: Watch, reference: Reference, plan: Monitoring) -> WindowVerdict:
    key = WindowKey(Stream(watched.deployment, "champion", watched.version), 0, HOUR)
    with workspace.database.read() as tx:
        window = store.find_window(tx, key)
    assert window is not None
    return judge_span(msgspec.structs.replace(watched, plan=plan), reference, [window], HOUR)


def test_a_feature_is_judged_by_what_was_chosen(workspace: Workspace, spool: Spool, watched: Watch, reference: Reference) -> None:
    spool.leave(make_rows(600, 11, shift=1.0), 0)
    collect(workspace)

    def wind(**plan: str) -> Cause | None:
        verdict = judged(workspace, watched, reference, Monitoring(statistics=dict(plan)))
        return next((cause for cause in verdict.causes if cause.feature == "wind"), None)

    by_rule, by_psi = wind(), wind(wind="psi")
    assert by_rule is not None and by_rule.state == "alarm" and by_rule.statistic == ""
    assert by_psi is not None and by_psi.state == "alarm" and (by_psi.statistic, by_psi.threshold) == ("psi", 0.2)
    assert by_psi.value is not None and by_psi.value > 0.2
    assert f"(psi {by_psi.value:.3g}, limit 0.2)" in by_psi.sentence
    assert wind(wind="psi(50)") is None

    def drifts(limit: str) -> Outcome:
        choices = dict.fromkeys(("*", "@score", "@prediction"), limit)
        return findings_of(watched, judged(workspace, watched, reference, Monitoring(statistics=choices)))[0].outcome  # type: ignore[arg-type]

    assert (drifts("psi(50)"), drifts("psi")) == (Outcome.CLEAR, Outcome.ALARM)
