"""The automation study: policies and simple rules on simulated years whose truth is known.

    .venv/bin/python benchmarks/automation/bench.py                 # 20 years of each kind: some minutes
    .venv/bin/python benchmarks/automation/bench.py --years 3 --only sudden

Prints a table for each kind of year, and one over all of them. The same seeds give the same figures.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.automation.years import SCENARIOS, Year

from perenne.automation.backtest.model import Bout, Track
from perenne.automation.backtest.replay import Rule, mean_greater, replay, simple_rule, whatever
from perenne.automation.model import EpisodeState
from perenne.core.clock import DAY
from perenne.projects import Cron, Drift, Missed, RetrainPolicy

USELESS, WORTH_IT, BEHIND = 0.002, 0.01, 0.02
WEEKLY = Cron("0 0 * * 1")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule came to in one year.

    Attributes
    ----------
    useless : int
        Promotions after which people were right by less than 0.002 more often, over four weeks and by the truth.
    missed : int
        Challengers turned away that would have been right by 0.01 more often.
    undone : int
        Promotions that were taken back though they were right by 0.01 more often.
    behind : int
        Days on which the model was right by 0.02 less often than the best of all models.
    lost : float
        By how much less often it was right than that one, on the mean of all days.
    """

    rule: str
    episodes: int
    trained: int
    promoted: int
    useless: int
    missed: int
    undone: int
    unneeded: int
    behind: int
    lost: float
    cpu_minutes: float


def rules() -> tuple[Rule, ...]:
    """Return what is compared: the default policy, with a calendar, with time for labels, with proof; and three simple rules."""
    base = RetrainPolicy.of(on=[Drift(), Missed()])
    weekly = RetrainPolicy.of(on=[Drift(), Missed(), WEEKLY])
    patient = RetrainPolicy.of(on=[Drift(), Missed(), WEEKLY], shadow="3d", soak="3d")
    proven = RetrainPolicy.of(
        on=[Drift(), Missed(), WEEKLY], shadow="3d", soak="3d", prove_live=True, trial_time="14d", false_promotions_per_year=1
    )
    reckless = simple_rule("on drift, always", base, (Drift(),), "", whatever)
    rested = msgspec.structs.replace(reckless, policy=msgspec.structs.replace(reckless.policy, cooldown=7 * DAY))
    return (
        Rule("perenne: drift, missed", base, ()),
        Rule("perenne: and weekly", weekly, ()),
        Rule("perenne: weekly, labels waited for", patient, ()),
        Rule("perenne: weekly, proven live", proven, ()),
        simple_rule("weekly, mean greater", base, (WEEKLY,), "", mean_greater),
        rested,
        Rule("never", RetrainPolicy.of(on=[]), ()),
    )


def live(kind: str, seed: int, chosen: Sequence[Rule] | None = None) -> list[Outcome]:
    """Live through one year under every rule."""
    year = Year(SCENARIOS[kind], seed)
    return [told(year, replay(year, rule, year.first)) for rule in (rules() if chosen is None else chosen)]


def told(year: Year, track: Track) -> Outcome:
    """Return what a year came to, by the truth."""
    gaps = [year.best(day) - year.true(point.model, day) for day, point in enumerate(track.points)]
    sums = track.sums
    return Outcome(
        rule=track.name,
        episodes=sums.opened,
        trained=sums.trained,
        promoted=sums.promoted,
        useless=sum(_gain(bout) < USELESS for bout in track.bouts if bout.promoted and bout.later),
        missed=sum(_gain(bout) >= WORTH_IT for bout in track.bouts if bout.trained and not bout.promoted and bout.later),
        undone=sum(_gain(bout) >= WORTH_IT for bout in track.bouts if bout.state is EpisodeState.ROLLED_BACK and bout.later),
        unneeded=sums.unneeded,
        behind=sum(gap > BEHIND for gap in gaps),
        lost=sum(gaps) / len(gaps),
        cpu_minutes=sums.cpu_seconds / 60,
    )


def _gain(bout: Bout) -> float:
    return bout.later.difference if bout.later else 0.0


def _live(asked: tuple[str, int]) -> tuple[str, list[Outcome]]:
    return asked[0], live(*asked)


FIRST = ("rule", "episodes", "retrains", "promoted", "useless", "of retrains", "missed", "undone", "not needed")
HEAD = (*FIRST, "days behind", "lost", "CPU min")


def table(found: Sequence[Outcome]) -> Iterable[str]:
    """Yield a table, a line for each rule: means of a year."""
    yield f"| {' | '.join(HEAD)} |"
    yield "| --- |" + " ---: |" * (len(HEAD) - 1)
    for name in dict.fromkeys(item.rule for item in found):
        mine = [item for item in found if item.rule == name]
        trained, useless = sum(item.trained for item in mine), sum(item.useless for item in mine)
        share = f"{useless / trained:.1%}" if trained else "—"
        cells = [f"{mean(mine, field):.1f}" for field in ("episodes", "trained", "promoted", "useless")]
        cells += [share, *(f"{mean(mine, field):.1f}" for field in ("missed", "undone", "unneeded"))]
        cells += [f"{mean(mine, 'behind'):.0f}", f"{mean(mine, 'lost'):.4f}", f"{mean(mine, 'cpu_minutes'):.0f}"]
        yield f"| {name} | {' | '.join(cells)} |"


def mean(found: Sequence[Outcome], field: str) -> float:
    """Return the mean of a field."""
    return float(sum(getattr(item, field) for item in found)) / len(found)


def main() -> None:
    """Run the study and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--years", type=int, default=20, help="of each kind")
    parser.add_argument("--seed", type=int, default=1, help="of the first year; each further one has the next")
    parser.add_argument("--only", choices=sorted(SCENARIOS), action="append", help="only this kind of year")
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    kinds = asked.only or list(SCENARIOS)
    jobs = [(kind, asked.seed + number) for kind in kinds for number in range(asked.years)]
    found: dict[str, list[Outcome]] = {kind: [] for kind in kinds}
    with ProcessPoolExecutor(asked.processes) as pool:
        for kind, outcomes in pool.map(_live, jobs):
            found[kind] += outcomes
    for kind in kinds:
        doc = (SCENARIOS[kind].__doc__ or "").strip()
        print(f"\n### {kind}: {doc[0].lower()}{doc[1:]}\n", *table(found[kind]), sep="\n")
    print("\n### all of them\n", *table([item for items in found.values() for item in items]), sep="\n")


if __name__ == "__main__":
    main()
