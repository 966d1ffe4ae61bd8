import csv
import io
import sys

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.core.errors import Invalid
from perenne.data.csv_files import read_csv
from perenne.data.sniffing import MARKS


def read(text: str | bytes, **options: dict[str, str]) -> pa.Table:
    return read_csv(text.encode() if isinstance(text, str) else text, "x.csv", **options)


def values(text: str | bytes, column: str = "a") -> list[object]:
    found: list[object] = read(text).column(column).to_pylist()
    return found


def refused(text: str | bytes, **options: dict[str, str]) -> Invalid:
    with pytest.raises(Invalid) as caught:
        read(text, **options)
    assert caught.value.hint or caught.value.code == "data.json"
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\n1\n-2\n+3\n", [1, -2, 3]),
        ("a\n1\n2.5\n1e3\n.5\n", [1.0, 2.5, 1000.0, 0.5]),
        ("a\n1\nNA\n\n3\n", [1, None, 3]),
        ("a,b\n1,\n,2\n", [1, None]),
        ("a\nNA\nDE\nnull\n", ["NA", "DE", "null"]),
        ("a,b\nNA,1\n?,2\n", [None, None]),
        ("a\n00501\n12345\n", ["00501", "12345"]),
        ("a\n0\n10\n0.5\n", [0.0, 10.0, 0.5]),
        ("a\n12E4\n77\n", ["12E4", "77"]),
        ("a\n12345678901234567890\n1\n", ["12345678901234567890", "1"]),
        ("a;b\n1,5;2\n2;3\n", [1.5, 2.0]),
        ('a,b\n"1,5",2\n"2,0",3\n', ["1,5", "2,0"]),
        ("a\ntrue\nFALSE\n", [True, False]),
        ("a\n0\n1\n", [0, 1]),
        ("a,b\n 1,x\n2 ,x\n", [1, 2]),
        ("a,b\n x,1\n", [" x"]),
        ('a,b\n"line\nbreak",1\r\n"say ""hi""",2\r\n', ["line\nbreak", 'say "hi"']),
        ("a\r1\r2\r", [1, 2]),
        ("\ufeffa\n1\n", [1]),
        ("a\tb\n1\t2,5\n", [1]),
        ('a,b\n5" pipe,1\n', ['5" pipe']),
        ("a\n1", [1]),
        ("a\n\u00e9\n\u4e2d\n", ["\u00e9", "\u4e2d"]),
    ],
)
def test_values_are_what_a_person_meant(text: str, expected: list[object]) -> None:
    found = values(text)
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


@pytest.mark.parametrize(
    ("texts", "first"),
    [
        (["2013-01-31"], "2013-01-31 00:00:00"),
        (["2013-01-31 05:00", "2013-02-01T06:00:01.5"], "2013-01-31 05:00:00"),
        (["2013-01-31T05:00:00Z", "2013-01-31T05:00:00+02:00"], "2013-01-31 05:00:00"),
        (["2013-01-31T05:00:00.123456789Z"], "2013-01-31 05:00:00.123456"),
        (["31/01/2013", "01/02/2013"], "2013-01-31 00:00:00"),
        (["01/31/2013", "02/01/2013", ""], "2013-01-31 00:00:00"),
        (["31.01.2013 05:00", "1.2.2013 06:00"], "2013-01-31 05:00:00"),
        (["2013/01/31", "2013/02/01"], "2013-01-31 00:00:00"),
        (["1850-06-01"], "1850-06-01 00:00:00"),
    ],
)
def test_times_are_read_as_utc(texts: list[str], first: str) -> None:
    column = read("a,b\n" + "".join(f"{text},1\n" for text in texts)).column("a")
    assert column.type == pa.timestamp("us")
    assert str(column[0].as_py()) == first


@pytest.mark.parametrize("text", ["01/02/2013", "2013-02-30", "13/13/2013", "2013-01"])
def test_what_may_be_two_dates_or_none_stays_text(text: str) -> None:
    assert values(f"a\n{text}\n") == [text]


def test_utf_16_with_its_mark_is_read() -> None:
    assert values("a,b\n1,\u00e9\n".encode("utf-16"), "b") == ["\u00e9"]


def test_a_field_of_three_megabytes_is_read() -> None:
    assert values('a,b\n1,"' + "x" * 3_000_000 + '"\n', "b") == ["x" * 3_000_000]


def test_columns_without_a_name_get_one_and_hostile_names_are_kept() -> None:
    table = read(',"say ""x""\n<script>",\'; drop table t; --\n1,2,3\n')
    assert table.column_names == ["column_1", 'say "x"\n<script>', "'; drop table t; --"]


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("", "data.empty", "x.csv is empty"),
        (" \n \n", "data.empty", "x.csv is empty"),
        ("a,b\n", "data.no_rows", "header and no rows"),
        ("a,b", "data.no_rows", "header and no rows"),
        ("a,b\n\n\n", "data.no_rows", "header and no rows"),
        ("a,b\n1,2\n3\n4,5\n", "data.ragged", "line 3: 1 fields where the header has 2"),
        ('a,b\n"x\ny",2\n3,4,5\n', "data.ragged", "line 4: 3 fields"),
        ("a,b,a\n1,2,3\n", "data.duplicate_column", "columns 1 and 3 are both called 'a'"),
        ('a,b\n1,2\n3,"4\n5,6\n', "data.csv", "line 3: "),
        ("1,2\n3,4\n", "data.no_header", "line 1"),
        (b"a,b\n1,x\n2,\xe9\n", "data.encoding", "line 3: byte 0xe9"),
        (b"a,\xe9\n1,x\n", "data.encoding", "line 1: byte 0xe9"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(text: str | bytes, code: str, words: str) -> None:
    error = refused(text)
    assert error.code == code
    assert words in error.message
    assert error.message.startswith("x.csv")


def test_a_value_far_down_that_is_no_number_is_named_with_its_line() -> None:
    rows = [f'"line\n{index}",{index}' for index in range(300)]
    rows[250] = "x,oops"
    error = refused("name,amount\n" + "\n".join(rows))
    assert error.code == "data.value"
    assert "line 502, column 'amount': 'oops' is no number; 299 other values" in error.message


@pytest.mark.parametrize("number", ["1.5", "1,5"])
def test_either_decimal_mark_is_kept_to_among_semicolons(number: str) -> None:
    assert "line 32, column 'a': 'oops' is no number" in refused("a;b\n" + f"{number};1\n" * 30 + "oops;1\n").message


def test_a_day_that_is_not_in_the_calendar_is_named_with_its_line() -> None:
    error = refused("day\n" + "2013-01-05\n" * 20 + "2013-02-30\n")
    assert "line 22, column 'day': '2013-02-30' is no time" in error.message


def test_a_column_that_is_half_texts_is_a_column_of_texts() -> None:
    assert values("a\n" + "1\n" * 50 + "x\n" * 10)[-1] == "x"


def test_digits_with_needless_zeros_make_names_of_all_digits() -> None:
    assert values("a\n" + "12345\n" * 200 + "00501\nK1A\n")[-1] == "K1A"


def test_a_kind_is_kept_to() -> None:
    assert read("a\n1\n2\n", kinds={"a": "text"}).column("a").to_pylist() == ["1", "2"]
    assert read("a\nNA\n", kinds={"a": "text"}).column("a").to_pylist() == ["NA"]
    assert read("a\n007\n", kinds={"a": "number"}).column("a").to_pylist() == [7]
    assert "line 3, column 'a': 'x' is no number; 1 other" in refused("a\n1\nx\n", kinds={"a": "number"}).message
    assert "line 2" in refused("a\n01/02/2013\n2013-01-01\n", kinds={"a": "time"}).message


def test_too_many_columns_are_refused_before_they_are_read() -> None:
    header = ",".join(f"c{position}" for position in range(10_000))
    error = refused(header + "\n" + "1," * 9_999 + "1\n")
    assert error.code == "data.too_many_columns"
    assert "10,000" in error.message


def test_the_limit_of_the_csv_module_is_left_as_it_was() -> None:
    before = csv.field_size_limit()
    refused("a,b\n1\n")
    assert csv.field_size_limit() == before < sys.maxsize


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@given(st.lists(st.tuples(texts, st.integers(-(2**63), 2**63 - 1) | st.none()), min_size=1, max_size=20))
def test_what_was_written_is_read(rows: list[tuple[str, int | None]]) -> None:
    # A text at the end of every column keeps it from looking like numbers or times.
    stream = io.StringIO(newline="")
    csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([["text", "number"], *rows, ["end", 0]])
    table = read(stream.getvalue())
    assert table.column("text").to_pylist() == [text or None for text, _ in rows] + ["end"]
    assert table.column("number").to_pylist() == [number for _, number in rows] + [0]


def outcome(text: str | bytes) -> str:
    try:
        return f"read {read(text).num_columns}"
    except Invalid as error:
        return error.code


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    assert outcome(data).startswith(("read ", "data."))


@given(st.text(st.sampled_from('a1,;"\n\r .-/E'), max_size=60))
def test_any_text_of_csv_is_read_or_refused(text: str) -> None:
    assert outcome(text).startswith(("read ", "data."))


@pytest.mark.parametrize("mark", MARKS)
def test_every_mark_is_missing_among_numbers(mark: str) -> None:
    assert values(f"a\n1\n{mark}\n") == [1, None]
