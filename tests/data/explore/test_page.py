"""The page and the comparison: one file each that loads nothing, says what the profile says, and takes nothing for code."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from tests.data.test_profiles import QUARTET, shapes

from perenne.data import DataProfile, profile_table
from perenne.data.explore.comparison import comparison_page
from perenne.data.explore.noticing import GRAVE, notices
from perenne.data.explore.page import profile_page
from perenne.data.explore.style import POLICY
from perenne.data.personal import masked

HOSTILE = [
    "<script>alert(1)</script>",
    "",
    "x" * 5_000,
    "🦄",
    "\"'><img src=x onerror=alert(1)>",
    "a\nb",
    "</style>",
    "\u202eevil",
]
LOADING = {"src", "srcset", "href", "data", "action", "poster", "background", "xlink:href", "style"}


class Elements(HTMLParser):
    """Every element with its attributes, and the text, as a browser would take them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def table(rows: int = 4_000, columns: int = 12) -> pa.Table:
    rng = np.random.default_rng(6)
    x = rng.normal(size=rows)
    made: dict[str, Any] = {
        "x": pa.array(x, mask=rng.random(rows) < 0.1),
        "bowl": x**2 + rng.normal(size=rows) * 0.1,
        "plan": pa.array(np.array(["basic", "pro", "team"])[rng.integers(0, 3, rows)], mask=rng.random(rows) < 0.1),
        "mail": [f"user{number}@example.org" for number in range(rows)],
        "at": pa.array(np.arange(rows) * 3_600_000_000, pa.timestamp("us")),
        "late": x > 0.5,
    }
    return pa.table(made | {f"n{number}": rng.normal(size=rows) for number in range(columns - len(made))})


def sides(**changes: Any) -> tuple[DataProfile, DataProfile]:
    before = profile_table(table())
    after = table().drop_columns(["n0"]).append_column("fresh", pa.array(np.ones(4_000)))
    after = after.set_column(0, "x", pa.array(np.nan_to_num(np.asarray(after["x"])) + 2))
    return before, profile_table(after)


def pages() -> dict[str, str]:
    hostile = pa.table({name: [HOSTILE[place], "b", None] for place, name in enumerate(HOSTILE)})
    profile = profile_table(hostile, target=HOSTILE[0], dataset=HOSTILE[4])
    return {
        "profile": profile_page(profile_table(table(), target="late")),
        "hostile": profile_page(profile, source=HOSTILE[0]),
        "compared": comparison_page(*sides(), labels=("</script>", HOSTILE[4])),
        "hostile compared": comparison_page(profile, profile, labels=(HOSTILE[0], "b")),
    }


def test_a_page_loads_nothing_and_runs_only_its_own_script() -> None:
    for name, page in pages().items():
        found = Elements(page)
        scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
        assert len(scripts) == 1 == sum(tag == "script" for tag, _ in found.elements), name
        styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
        assert len(styles) == 1 == sum(tag == "style" for tag, _ in found.elements), name
        for content, kind in ((scripts[0], "script-src"), (styles[0], "style-src")):
            digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
            assert f"{kind} 'sha256-{digest}'" in POLICY
        assert ("meta", {"http-equiv": "Content-Security-Policy", "content": POLICY}) in found.elements
        for tag, attributes in found.elements:
            loading = {key: value for key, value in attributes.items() if key in LOADING}
            assert set(loading) <= {"href"} and (loading.get("href") or "#").startswith("#"), (name, tag, loading)
            assert not any(key.startswith("on") for key in attributes), (name, tag)


def test_names_and_values_are_shown_as_they_are() -> None:
    found = Elements(pages()["hostile"])
    for name in HOSTILE:
        if name:
            shown = name.replace("\n", "␊")[:300]
            assert shown in found.text, name[:40]
    assert {tag for tag, _ in found.elements}.isdisjoint({"img", "iframe", "object", "link", "form"})


def test_a_page_of_thirty_columns_is_small() -> None:
    page = profile_page(profile_table(table(20_000, 30), target="late"))
    assert 100_000 < len(page.encode()) < 320_000


def test_sets_with_one_summary_have_pages_that_differ() -> None:
    tables = {name: pa.table({"x": [float(value) for value in x], "y": y}) for name, (x, y) in QUARTET.items()} | shapes()
    profiles = {name: profile_table(made) for name, made in tables.items()}
    drawn = {
        name: re.findall(r'<svg class="chart.*?</svg>', profile_page(profile), re.DOTALL) for name, profile in profiles.items()
    }
    assert len({str(pictures) for pictures in drawn.values()}) == len(tables)
    told = {name: tuple(item.words for item in notices(profile)) for name, profile in profiles.items()}
    assert told["line"] == ()
    assert len({told[name] for name in QUARTET}) == 4
    assert len({told[name] for name in shapes()}) == len(shapes())


def test_what_is_grave_comes_first() -> None:
    rows = 500
    made = pa.table(
        {
            "y": np.arange(rows) % 2,
            "leaks": np.arange(rows) % 2 * 2.0,
            "nothing": pa.nulls(rows, pa.float64()),
            "half": pa.array(np.arange(rows) % 5, mask=np.arange(rows) % 3 > 0),
            "mail": [f"user{number}@example.org" for number in range(rows)],
            "at": pa.array(np.arange(rows) * 10**9, pa.timestamp("us")),
        }
    )
    found = notices(profile_table(pa.concat_tables([made, made.slice(0, 100)]), target="y", created=300 * 10**9))
    grave = [(item.column, item.words) for item in found if item.gravity == GRAVE]
    assert [item.gravity for item in found][: len(grave)] == [GRAVE] * len(grave)
    assert [column for column, _ in grave] == ["leaks", "nothing", "mail", "at", ""]
    assert "239 times are later" in grave[3][1] or "299 times" in grave[3][1] or "later than this profile" in grave[3][1]
    assert any(item.column == "half" and "missing" in item.words for item in found)


def test_personal_data_is_hidden_in_every_output() -> None:
    before, after = sides()
    assert before.column("mail").personal == "email"
    outputs = [
        profile_page(masked(before)), comparison_page(before, after), msgspec.json.encode(masked(before)).decode(),
    ]  # fmt: skip
    for output in outputs:
        assert "example.org" not in output and "user12" not in output
        assert "mail" in output
    assert "example.org" in comparison_page(before, after, reveal=True)
    hidden = masked(before).column("mail")
    assert hidden.masked and hidden.top[0].count == before.column("mail").top[0].count
    assert masked(masked(before)) == masked(before)


def test_numbers_that_are_personal_are_hidden_with_their_pairs() -> None:
    digits = np.arange(1_000, 1_400)
    cards = [int(f"41111111{number:07d}") * 10 for number in digits]
    checked = [number + next(last for last in range(10) if luhn(number + last)) for number in cards]
    profile = profile_table(pa.table({"paid_by": checked, "x": digits * 2.0 + np.random.default_rng(1).normal(size=400)}))
    assert profile.column("paid_by").personal == "card"
    hidden = masked(profile).column("paid_by")
    assert hidden.numbers is None and not masked(profile).pairs
    page = profile_page(masked(profile))
    assert "4111111" not in page and "4,111,111" not in page


def luhn(number: int) -> bool:
    digits = [int(digit) for digit in reversed(str(number))]
    return sum(sum(divmod(2 * digit, 10)) if place % 2 else digit for place, digit in enumerate(digits)) % 10 == 0


def test_a_comparison_starts_with_what_came_or_went_and_then_what_differs_most() -> None:
    before, after = sides()
    page = comparison_page(before, after, labels=("train", "test"))
    names = re.findall(r'<details class="column" id="c\d+" data-name="([^"]*)"', page)
    assert set(names[:2]) == {"fresh", "n0"} and names[2] == "x"
    assert 'class="before"' in page and "median" in page
    assert "no column differs" in comparison_page(before, before)


@pytest.mark.parametrize(
    "made",
    [
        {"x": pa.array([], pa.float64()), "s": pa.array([], pa.string()), "t": pa.array([], pa.timestamp("us"))},
        {"x": [1.0], "s": ["a"]},
        {"x": pa.nulls(3, pa.float64()), "b": [True, None, True]},
        {"x": [np.inf, -np.inf, np.nan], "y": [1e300, -1e300, 0.0], "t": pa.array([-(2**62), 0, 2**62], pa.timestamp("us"))},
        {"s": ["m" * 1_000_000, "", " "], "z": [1, 1, 1]},
    ],
    ids=["empty", "one", "nothing", "extreme", "long"],
)
def test_odd_tables_have_pages_too(made: dict[str, Any]) -> None:
    profile = profile_table(pa.table(made))
    page = profile_page(profile)
    assert len(page) < 100_000 and page.endswith("</html>")
    assert comparison_page(profile, profile).endswith("</html>")


def test_thousands_of_columns_have_a_page_that_can_be_opened() -> None:
    page = profile_page(profile_table(pa.table({f"c{number}": [number, 2, 3] for number in range(1_500)})))
    assert len(page) < 3_000_000
    assert page.count('<details class="column"') == 1_500


def test_a_profile_of_an_earlier_perenne_has_a_page() -> None:
    old = msgspec.to_builtins(profile_table(table(), target="late"))
    for name in ("bytes", "seed", "created", "engine", "version", "sql", "associations", "missing", "repeated"):
        del old[name]
    for column in old["columns"]:
        for name in ("nans", "approximate", "personal", "masked"):
            del column[name]
        for part, names in {
            "numbers": ("sketch", "lowest", "highest"),
            "text": ("rare", "rare_rows", "blank"),
            "times": ("repeats", "step", "regular", "gaps", "future"),
        }.items():
            for name in names if column[part] else ():
                del column[part][name]
    for pair in old["pairs"]:
        del pair["flags"], pair["residuals"]
    read = msgspec.msgpack.decode(msgspec.msgpack.encode(old), type=DataProfile)
    assert "late" in profile_page(read)
    assert comparison_page(read, profile_table(table())).endswith("</html>")
