"""Many windows at once: the same state as each by itself."""

import numpy as np
import pytest

from perenne.core.errors import Invalid
from perenne.stats import drift
from perenne.stats.cells import Reference
from perenne.stats.columns import Column, Field, FieldKind, Task
from perenne.stats.profile import Profile, read_counts
from perenne.stats.screening import Screen, screen

NUMBERS = tuple(Field(f"x{place}", FieldKind.NUMBER) for place in range(4))
FIELDS = (*NUMBERS, Field("plan", FieldKind.CATEGORY, "string"), Field("town", FieldKind.CATEGORY, "string"))


def rows(rng: np.random.Generator, count: int, shift: float = 0.0, scale: float = 1.0) -> dict[str, Column]:
    columns: dict[str, Column] = {f"x{place}": rng.normal(shift * (place == 1), scale, count) for place in range(4)}
    columns["x2"][: int(count * abs(shift) / 8)] = np.nan
    columns["plan"] = rng.choice(np.array(["basic", "pro", "team"], object), count, p=[0.6 - shift / 8, 0.3, 0.1 + shift / 8])
    columns["town"] = np.array([f"town {number}" for number in rng.zipf(1.4, count)], object)
    return columns


def reference(seed: int, fields: tuple[Field, ...] = FIELDS) -> Reference:
    rng = np.random.default_rng(seed)
    given = rows(rng, 4_000)
    answers = (given["x1"] > 0).astype(np.int64)
    return Reference.fit(given, fields, chunks=14, predictions=answers, task=Task.BINARY, classes=("no", "yes"))


def test_windows_stand_as_each_would_by_itself() -> None:
    known = [reference(1), reference(2, FIELDS[1:]), reference(3, FIELDS[:2])]
    rng = np.random.default_rng(9)
    profiles = []
    for place in range(60):
        shift = float(rng.choice([0.0, 0.0, 0.05, 0.12, 0.2, 0.5]))
        given = rows(rng, int(rng.choice([50, 250, 800, 3_000])), shift, float(rng.choice([1.0, 1.0, 1.15])))
        profile = Profile.empty(known[place % 3])
        profile.add(given, (given["x1"] > 0).astype(np.int64))
        profiles.append(profile)
    screens = [Screen.of(one) for one in known]
    expected = [drift.judge(known[place % 3], profile).state for place, profile in enumerate(profiles)]
    found = screen(
        [screens[place % 3] for place in range(60)], [profile.counts for profile in profiles], [one.rows for one in profiles]
    )
    assert found == expected
    assert set(expected) == {"ok", "warn", "alarm", "too_few"}


def test_counts_are_read_without_the_rest() -> None:
    known = reference(4)
    profile = Profile.empty(known)
    profile.add(rows(np.random.default_rng(5), 300))
    digest, count, counts = read_counts(profile.to_bytes())
    assert (digest, count) == (known.digest, 300)
    assert counts.tolist() == profile.counts.tolist()
    for broken in (b"", b"PPRF", profile.to_bytes()[:-100][:90], b"x" * 500):
        with pytest.raises(Invalid):
            read_counts(broken)
