"""Guards over time on the monitor's page, and a person's queue on the deployment's, in a real browser."""

import msgspec
from playwright.sync_api import expect
from tests.web.conftest import Browse, Inspect, World

from perenne import serving
from perenne.auth.principals import local_principal
from perenne.core.clock import DAY
from perenne.monitoring import row_store, store
from perenne.monitoring.guards import store as guard_store
from perenne.monitoring.guards.model import OVERRIDES, OutcomeSums, Reported, Running
from perenne.monitoring.model import Figure, Stream, Watch, WindowVerdict, stand
from perenne.projects import Guardrail, Outcome
from perenne.serving import StopMode
from perenne.serving.tickets import Ticket, leave_ticket
from perenne.stats.fairness import GroupCounts
from perenne.storage.database import Transaction

BOUNDS = (
    Guardrail("selection_rate_ratio", by="plan", at_least=0.5),
    Guardrail("refund", at_most=0.01, against="holdout", stop="person"),
)


def fill(tx: Transaction) -> None:
    """Hold the deployment of the world to guardrails, as if some had been looked at and outcomes had come."""
    watch = store.list_watches(tx, "churn")[0]
    plan = msgspec.structs.replace(watch.plan, outcomes=(Outcome("refund"),))
    store.save_watch(tx, msgspec.structs.replace(watch, guardrails=BOUNDS, plan=plan))
    verdicts = store.recent_verdicts(tx, Stream("churn", "champion", watch.version), 60)
    for place, verdict in enumerate(reversed(verdicts)):
        _fill_window(tx, watch, verdict, place)


def _fill_window(tx: Transaction, watch: Watch, verdict: WindowVerdict, place: int) -> None:
    key = verdict.key
    counts = tuple(
        GroupCounts(name, count=rows, selected=round(share * rows))
        for name, rows, share in (("basic", 400, 0.4), ("pro", 300, 0.35 - 0.005 * place), ("team", 12, 0.5))
    )
    row_store.save_groups(tx, key, "plan", counts)
    sums = [
        OutcomeSums(name="refund", count=500, total=20 + place),
        OutcomeSums(name=OVERRIDES, count=80, total=max(0, 6 - place)),
    ]
    guard_store.save_outcomes(tx, key, "0" * 64, 1, sums)
    reported = Reported(
        digest=f"r{place}", deployment="churn", name="refund", start=key.start, end=key.end, n=4_000, value=0.05, received=1,
        received_by="ada",
    )  # fmt: skip
    guard_store.new_reported(tx, [reported])
    half = 0.05 / (1 + place)
    figures = (
        Figure(value=0.42, low=0.35, high=0.52, rows=712, group="pro"),
        Figure(value=0.02, low=0.02 - half, high=0.02 + half),
    )
    for variant, bound, figure in zip(("champion", guard_store.COMPARED), BOUNDS, figures, strict=True):
        running = Running(
            deployment="churn", variant=variant, version=watch.version, window_start=key.start, window_length=key.length,
            revision=1, look=1, alpha=0.05, states=(stand(bound, figure),), looked=key.end,
        )  # fmt: skip
        guard_store.save_running(tx, running)


def test_guards_over_time(browse: Browse, inspect: Inspect, world: World) -> None:
    world.workspace.database.write(fill)
    page = browse("/monitor/churn")
    guards = page.get_by_role("region", name="Guards", exact=True)
    expect(guards.get_by_role("table").first).to_contain_text("refund against holdout")
    expect(guards).to_contain_text("people answer")
    expect(guards.get_by_role("heading", name="refund against holdout")).to_be_visible()
    expect(guards.get_by_role("img", name="override_rate by window")).to_be_visible()
    expect(guards.get_by_role("img", name="selection_rate by plan and window")).to_be_visible()
    expect(guards).to_contain_text("with fewer than 30 rows: team")
    guards.scroll_into_view_if_needed()
    inspect(page, "monitor-guards")


def test_a_person_answers_what_waits(browse: Browse, inspect: Inspect, world: World) -> None:
    workspace = world.workspace
    workspace.database.write(
        lambda tx: serving.service.stop(tx, local_principal(), "churn", mode=StopMode.PERSON, reason="refusals look wrong")
    )
    for place in range(2):
        ticket = Ticket(
            id=f"01M7Y3F63RVMJ4B0S80000000{place}", deployment="churn", version="churn@1", opened=workspace.clock.now() - DAY,
            rows=[{"plan": "pro", "monthly_fee": 20.0, "calls": 3, "tenure_months": None}],
            classes=["no", "yes"], suggested=["no"],
        )  # fmt: skip
        leave_ticket(workspace.settings.spool, ticket)
    serving.service.queue.take_in(workspace)
    page = browse("/")
    expect(page.get_by_text("2 requests wait for a person")).to_be_visible()
    page = browse("/deploy/churn")
    queue = page.get_by_role("region", name="Waiting for a person")
    expect(queue).to_contain_text("monthly_fee")
    expect(page.get_by_role("region", name="Stopped")).to_contain_text("People answer meanwhile.")
    inspect(page, "deployment-queue")
    queue.get_by_role("button", name="yes").first.click()
    page.get_by_role("dialog").get_by_role("textbox").fill("called the customer")
    page.get_by_role("dialog").get_by_role("button", name="yes").click()
    expect(queue.get_by_role("listitem")).to_have_count(1)
    with workspace.database.read() as tx:
        decided = serving.service.queue.list_tickets(tx, "churn", waiting=False)[0]
    assert (decided.answer, decided.reason) == (("yes",), "called the customer")
