"""How policies stand: what of their budgets is used, when they rest, are paused or closed, and when their calendars are due."""

from collections.abc import Sequence

import msgspec

from perenne.automation import store
from perenne.automation.deciding import MONTH, QUARTER
from perenne.automation.model import EpisodeState, Hold
from perenne.automation.store import Used
from perenne.projects import ProjectRecord, RetrainPolicy
from perenne.storage import schedules
from perenne.storage.transaction import Transaction

YEAR = 4 * QUARTER
PREFIX = "policy/"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a policy stands now.

    Attributes
    ----------
    paused : Hold or None
        Who paused it, if somebody did.
    runs, cpu_hours, money : int, float, float
        What the rounds of the last 30 days took; the limits beside them are 0 where there is none.
    tests, alpha_spent, alpha_budget : int, float, float
        Tests of the last year, the chance of a mistake they took together, and how much a year may have (0: no budget).
    closed_until : int or None
        When the blackout is over that holds now.
    next_due : int or None
        When its next calendar is due.
    """

    paused: Hold | None
    runs: int
    runs_limit: int
    cpu_hours: float
    cpu_hours_limit: float
    money: float
    money_limit: float
    tests: int
    alpha_spent: float
    alpha_budget: float
    closed_until: int | None
    next_due: int | None


def standings(tx: Transaction, records: Sequence[ProjectRecord], now: int) -> dict[str, Standing]:
    """Tell how the policies of some projects stand, by project."""
    names = [record.name for record in records if record.policy is not None]
    used, holds = store.used_since(tx, names, now - YEAR), store.holds(tx)
    due: dict[str, int] = {}
    for schedule in schedules.schedules(tx, PREFIX):
        project = schedule.name.removeprefix(PREFIX).partition("/")[0]
        if schedule.due is not None:
            due[project] = min(schedule.due, due.get(project, schedule.due))
    return {
        record.name: _standing(record.policy, used.get(record.name, []), holds.get(record.name), due.get(record.name), now)
        for record in records
        if record.policy is not None
    }


def _standing(policy: RetrainPolicy, used: Sequence[Used], hold: Hold | None, due: int | None, now: int) -> Standing:
    month = [item for item in used if item.time >= now - MONTH]
    hours = sum(item.cpu_seconds for item in month) / 3_600
    tests = [item.alpha for item in used if item.after is EpisodeState.EVALUATED and item.alpha > 0]
    return Standing(
        paused=hold,
        runs=sum(item.after is EpisodeState.BUDGET_OK for item in month),
        runs_limit=policy.runs_per_month,
        cpu_hours=hours,
        cpu_hours_limit=policy.cpu_hours_per_month,
        money=hours * policy.cpu_hour_costs,
        money_limit=policy.money_per_month,
        tests=len(tests),
        alpha_spent=sum(tests),
        alpha_budget=policy.false_promotions_per_year,
        closed_until=policy.closed_until(now),
        next_due=due,
    )
