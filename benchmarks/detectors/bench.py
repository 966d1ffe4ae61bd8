"""How often drift detectors cry wolf, and how soon they see what is wrong: ours beside the defaults of others.

    python benchmarks/detectors/bench.py [--seeds 0 1 2] [--sizes 300 2000 20000] [--tables synthetic flights …] [--ours]

Each stream is a table drawn in windows of a size; the reference has ten windows' rows. First come clean windows, then incidents,
one after another, each in one column for six windows. "Columns" are alarms per undrifted column and window, "windows" the share
of clean windows with any alarm, "nuisance" that of windows of harmless change: columns without repeated values moved by 0.02
standard deviations at 20,000 rows, or a weekly season which the reference has seen eight times. An incident hits a column in
which it changes more than 3 % of the values, and is missed if none of its windows alarms there. Delay counts the windows before
the first that does; recall is the share of its windows that do.
"""

import argparse
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from benchmarks.detectors.incidents import LEVELS, NUMBERS, WINDOWS, Change, shift  # noqa: E402
from benchmarks.detectors.rules import Evidently, NannyML, Ours, Psi, Rule, Table, Tested  # noqa: E402
from benchmarks.detectors.tables import Draw, correlated, real_tables, synthetic  # noqa: E402

CLEAN = 12
SMOOTH = ("normal", "offset", "lognormal", "gamma", "uniform", "two_peaks", "heavy_tails")  # moved, others lose their values
REFERENCE = 10
MAKE: dict[str, Callable[[Table, int], Rule]] = {
    "ours": Ours,
    "Evidently, default": lambda table, rows: Evidently(table),
    "NannyML, default": NannyML,
    "KS / chi2, p < 0.05": lambda table, rows: Tested(table, 0.05, shared=False),
    "KS / chi2, Bonferroni 0.01": lambda table, rows: Tested(table, 0.01, shared=True),
    "PSI > 0.2, ten deciles": lambda table, rows: Psi(table),
}


class Tally:
    """What a rule did."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self.delays: list[int] = []
        self.missed: Counter[str] = Counter()

    def clean(self, alarms: set[str], columns: int) -> None:
        """Count a clean window."""
        self.count.update(columns=columns, false_columns=len(alarms), windows=1, false_windows=bool(alarms))

    def nuisance(self, alarms: set[str]) -> None:
        """Count a window of harmless change."""
        self.count.update(nuisance=1, false_nuisance=bool(alarms))

    def incident(self, kind: str, found: Sequence[bool]) -> None:
        """Count an incident by which of its windows alarmed."""
        self.count.update(incidents=1, drifted=len(found), seen=sum(found))
        if any(found):
            self.delays.append(list(found).index(True))
        else:
            self.missed[kind] += 1

    def line(self) -> str:
        """Return the figures as a row of a table."""
        c = self.count
        share = [f"{100 * c[a] / max(1, c[b]):.2f} %" for a, b in (("false_columns", "columns"), ("false_windows", "windows"))]
        nuisance = f"{100 * c['false_nuisance'] / c['nuisance']:.1f} %" if c["nuisance"] else "-"
        missed = f"{sum(self.missed.values())}/{c['incidents']}"
        delay = f"{np.mean(self.delays):.2f}" if self.delays else "-"
        return " | ".join([*share, nuisance, missed, delay, f"{100 * c['seen'] / max(1, c['drifted']):.1f} %"])


def stream(rng: np.random.Generator, draw: Draw, rows: int) -> Iterator[tuple[str, str, Table]]:
    """Give windows with the kind of incident they are of and its column; both are empty for clean ones."""
    for _ in range(CLEAN):
        yield "", "", draw(rng, rows)
    columns = draw(rng, 2)
    for kinds, levels in ((NUMBERS, False), (LEVELS, True)):
        names = [name for name, column in columns.items() if (column.dtype == object) == levels]
        for place, (kind, change) in enumerate(kinds.items()):
            start = place * 7 + int(rng.integers(0, max(1, len(names))))
            turned = [names[(start + step) % len(names)] for step in range(len(names))]
            name = next((name for name in turned if touches(change, draw(rng, 2000)[name])), None)
            if name is None:
                continue
            for window in range(WINDOWS):
                table = draw(rng, rows)
                yield kind, name, table | {name: change(rng, table[name], window)}


def touches(change: Change, column: NDArray[Any]) -> bool:
    """Tell whether a change does anything to a column: nothing can be widened, or stick, that hardly ever differs."""
    changed = change(np.random.default_rng(0), column, 0)
    missing = np.array([value is None or value != value for value in column.tolist()])
    return float(np.mean((changed != column) & ~missing)) > 0.03


def run_stream(rng: np.random.Generator, draw: Draw, rows: int, tallies: dict[str, Tally]) -> None:
    """Let every rule look at a stream. The others look at the drifted column alone in incidents; nothing else changes there."""
    reference = draw(rng, rows * REFERENCE)
    rules = {name: MAKE[name](reference, rows) for name in tallies}
    found: dict[str, list[bool]] = defaultdict(list)
    history: list[Table] = []
    for kind, name, window in stream(rng, draw, rows):
        for rule, tally in tallies.items():
            whole = not kind or rule == "ours"
            alarms = rules[rule].alarms(window if whole else {name: window[name]}, history[-15:])
            if not kind:
                tally.clean(alarms, len(window))
                continue
            found[rule].append(name in alarms)
            if len(found[rule]) == WINDOWS:
                tally.incident(kind, found.pop(rule))
        history = [*history[-15:], window]


def run_nuisance(rng: np.random.Generator, tallies: dict[str, Tally]) -> None:
    """Tiny shifts of large windows, and weeks with a season."""
    reference = synthetic(rng, 100_000)
    rules = {name: MAKE[name](reference, 20_000) for name in tallies}
    for _ in range(3):
        window = {name: shift(0.02)(rng, c, 0) if name in SMOOTH else c for name, c in synthetic(rng, 20_000).items()}
        for rule, tally in tallies.items():
            tally.nuisance(rules[rule].alarms(window, []))

    def day(number: int) -> Table:
        table, wave = synthetic(rng, 600), np.sin(2 * np.pi * number / 7)
        for name in ("normal", "gamma", "two_peaks"):
            table[name] = table[name] + 0.5 * wave * np.std(table[name])
        return table

    days = [day(number) for number in range(56)]
    season = {name: np.concatenate([table[name] for table in days]) for name in days[0]}
    rules = {name: MAKE[name](season, 600) for name in tallies}
    for number in range(56, 63):
        window = day(number)
        for rule, tally in tallies.items():
            tally.nuisance(rules[rule].alarms(window, []))


def main() -> None:
    """Run and print."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given.add_argument("--sizes", type=int, nargs="+", default=[300, 2000, 20_000])
    given.add_argument("--tables", nargs="+")
    given.add_argument("--ours", action="store_true", help="ours alone")
    options = given.parse_args()
    tables = {"synthetic": synthetic, "correlated": correlated, **real_tables()}
    tables = {name: draw for name, draw in tables.items() if not options.tables or name in options.tables}
    tallies = {name: Tally() for name in (["ours"] if options.ours else MAKE)}
    began = time.process_time()
    for seed in options.seeds:
        for size in options.sizes:
            for place, (name, draw) in enumerate(tables.items()):
                part = {rule: Tally() for rule in tallies}
                run_stream(np.random.default_rng([seed, size, place]), draw, size, part)
                for rule, tally in part.items():
                    merge(tallies[rule], tally)
                print(f"seed {seed}, {name}, {size}: ours {part['ours'].line()}; missed {dict(part['ours'].missed)}", flush=True)
        run_nuisance(np.random.default_rng([seed, 99]), tallies)
    print(f"\n| rule | columns | windows | nuisance | missed | delay, windows | recall |\n|{'---|' * 7}")
    for rule, tally in tallies.items():
        print(f"| {rule} | {tally.line()} |")
    print(f"\n{time.process_time() - began:.0f} CPU s; missed by ours: {dict(tallies['ours'].missed)}")


def merge(whole: Tally, part: Tally) -> None:
    """Add a part's counts."""
    whole.count.update(part.count)
    whole.delays += part.delays
    whole.missed.update(part.missed)


if __name__ == "__main__":
    main()
