"""Personal data is found by pattern and check digit, never shown, and what only looks so is no more than a hint."""

import random
from collections.abc import Callable
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perenne.data.privacy import numbers
from perenne.data.privacy.detecting import find_personal, hidden
from perenne.data.privacy.kinds import KINDS


def at(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC).replace(tzinfo=None)


REAL = {
    "email": ["ada@example.org", "Bob.B+x@mail.example.co.uk", " c@d.io "],
    "iban": ["GB82 WEST 1234 5698 7654 32", "DE89370400440532013000", "FR1420041010050500013M02606"],
    "card": ["4111 1111 1111 1111", "5500-0000-0000-0004", "340000000000009"],
    "mac": ["00:1B:44:11:3A:B7", "00-1b-44-11-3a-b8"],
    "ip": ["10.0.0.1", "255.255.255.255", "2001:db8::1", "::1"],
    "token_url": ["https://u:pw@example.org/a", "https://example.org/x?a=1&access_token=abc"],
    "api_key": ["sk_live_abcdefghijklmn", "AKIAIOSFODNN7EXAMPLE", "ghp_" + "a" * 36],
    "us_ssn": ["078-05-1121", "219-09-9999"],
    "it_fiscale": ["RSSMRA85T10A562S"],
    "es_dni": ["12345678Z", "X1234567L"],
    "br_cpf": ["111.444.777-35", "52998224725"],
    "fr_insee": ["2 55 08 14 168 025 38", "255081416802538"],
    "de_steuer_id": ["86095742719", "65929970489"],
    "pl_pesel": ["44051401359"],
    "uk_nhs": ["943 476 5919"],
    "nl_bsn": ["111222333", "123456782"],
    "phone": ["+49 30 1234567", "+1 (2) 555 0100 1"],
    "coordinates": ["52.5200, 13.4050", "-33.8688;151.2093"],
}


@pytest.mark.parametrize("kind", REAL)
def test_every_kind_is_found_by_its_values_alone(kind: str) -> None:
    found = find_personal(pa.table({"x": [*REAL[kind], None], "other": [*range(len(REAL[kind])), None]}))
    assert [(item.column, item.kind, item.hint) for item in found] == [("x", kind, False)]
    assert found[0].share == 1
    for text, shown in zip(REAL[kind], found[0].samples, strict=False):
        assert not set(shown) & set(text.strip()) - set(" .,;:@-+/?&=()[]_")


@pytest.mark.parametrize(
    ("name", "values", "kind", "hint"),
    [
        ("mobile", ["030 123456", "(030) 12-34-56"], "phone", False),
        ("date_of_birth", ["1990-01-31", "31.1.1990"], "birth_date", False),
        ("latitude", [52.52001, 48.85661], "coordinates", False),
        ("first_name", ["Ada", "Grace Brewster"], "name", True),
        ("street", ["12 High Street", "Hauptstraße 5"], "address", True),
    ],
)
def test_some_kinds_need_the_name_of_the_column(name: str, values: list[object], kind: str, hint: bool) -> None:
    found = find_personal(pa.table({name: values}))
    assert [(item.kind, item.hint) for item in found] == [(kind, hint)]
    assert find_personal(pa.table({"x": values})) == ()


def test_numbers_and_times_are_looked_at_for_what_they_can_be() -> None:
    table = pa.table({
        "card": [4111111111111111, 5500000000000004], "born": [at(1990, 1, 1), at(1991, 1, 1)],
        "when": [at(2013, 1, 1), None], "price": [1.234, 5.678], "yes": [True, False],
    })  # fmt: skip
    assert {item.column: item.kind for item in find_personal(table)} == {"card": "card", "born": "birth_date"}


def test_digits_without_their_check_digit_are_none() -> None:
    draw = random.Random(0)
    table = pa.table(
        {f"c{length}": [str(draw.randrange(10 ** (length - 1), 10**length)) for _ in range(500)] for length in range(8, 20)}
    )
    assert find_personal(table) == ()


def test_a_few_among_others_are_a_hint() -> None:
    notes = [f"called, will pay on day {day}" for day in range(30)]
    found = find_personal(pa.table({"note": [*notes, "ada@example.org", "bob@example.org"]}))
    assert [(item.kind, item.hint) for item in found] == [("email", True)]
    assert found[0].share == 2 / 32
    assert find_personal(pa.table({"note": notes})) == ()


def test_only_different_values_count_and_of_many_only_some_are_looked_at() -> None:
    mails = [f"user{place}@example.org" for place in range(20_000)]
    assert find_personal(pa.table({"x": mails}))[0].share == 1
    assert find_personal(pa.table({"x": ["ada@example.org"] * 99 + ["none"]}))[0].hint


CHECKS = {kind.name: kind.check for kind in KINDS if kind.check is not None}


@pytest.mark.parametrize("name", CHECKS)
def test_one_wrong_digit_is_seen(name: str) -> None:
    check: Callable[[str], bool] = CHECKS[name]
    if name in ("us_ssn",):
        return
    wrong = seen = 0
    for text in REAL[name]:
        for place, letter in enumerate(text):
            if letter.isdigit():
                changed = text[:place] + str((int(letter) + 1) % 10) + text[place + 1 :]
                wrong, seen = wrong + 1, seen + (not check(changed))
    assert seen >= 0.95 * wrong


@settings(max_examples=200)
@given(st.text(max_size=40) | st.text("0123456789 -./ABXYZ", max_size=40))
def test_no_text_troubles_a_check(text: str) -> None:
    for check in (*CHECKS.values(), numbers.luhn):
        assert check(text) in (True, False)
    assert len(hidden(text)) == len(text)


@settings(max_examples=25)
@given(st.lists(st.text(max_size=12), max_size=6))
def test_no_column_troubles_the_search(values: list[str]) -> None:
    find_personal(pa.table({"name": pa.array(values, pa.string()), "tel": pa.array(values, pa.string())}))
