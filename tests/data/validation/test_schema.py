import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.core.errors import Invalid
from perenne.data.model import Severity
from perenne.data.validation.rules import ColumnRules, Schema, TableRules
from perenne.data.validation.schema import read_schema, write_schema

TEXT = """
table: {rows_min: 1000, key: [id], time: ts}
columns:
  id: {type: int64, nullable: false, unique: true}
  ts: {type: timestamp, ascending: true}
  age: {type: int64, null_max: 0.05, min: 0, max: 132}
  state: {type: string, domain: [MA, NY], severity: error}
  zip: {type: string, regex: '^[0-9]{5}$', max_length: 5}
"""


def test_a_schema_is_read_as_it_was_written_by_hand() -> None:
    schema = read_schema(TEXT)
    assert schema.table == TableRules(rows_min=1000, key=("id",), time="ts")
    assert list(schema.columns) == ["id", "ts", "age", "state", "zip"]
    assert schema.columns["age"] == ColumnRules(type="int64", null_max=0.05, min=0, max=132)
    assert schema.columns["state"].severity is Severity.ERROR
    assert write_schema(schema).strip() == TEXT.strip().replace("'^[0-9]{5}$'", "'^[0-9]{5}$'")


numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
rules = st.one_of(
    st.builds(
        ColumnRules,
        type=st.sampled_from(["int64", "float64"]), nullable=st.booleans(), null_max=st.none() | st.floats(0, 1),
        min=numbers.map(lambda low: low and -abs(low)), max=numbers.map(lambda high: high and abs(high)),
        unique=st.booleans(), severity=st.sampled_from(Severity),
    ),
    st.builds(
        ColumnRules,
        type=st.just("string"), domain=st.none() | st.lists(texts, max_size=4).map(tuple),
        regex=st.none() | st.just(r"^\d+ \"'$"), max_length=st.none() | st.integers(0, 2**40),
    ),
)  # fmt: skip


@given(
    st.dictionaries(
        texts | st.just("x" * 300) | st.sampled_from(["yes", "null", "1", "? a: {", "<script>\n'\"--"]), rules, max_size=5
    )
)
def test_what_is_written_is_read(columns: dict[str, ColumnRules]) -> None:
    schema = Schema(table=TableRules(rows_min=3, key=tuple(columns)[:1], time=None), columns=columns)
    assert read_schema(write_schema(schema)) == schema


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("columns: {}", "table"),
        ("table: {rows: 1}\ncolumns: {}", "rows"),
        ("table: {}\ncolumns: {x: {type: int64, minimum: 1}}", "minimum"),
        ("table: {}\ncolumns: {x: {type: int64}}\nrules: []", "Expected `object`"),
        ("table: {}\ncolumns: {x: {type: integer}}", "column 'x': type 'integer'"),
        ("table: {}\ncolumns: {x: {type: string, min: 1}}", "column 'x': min and max"),
        ("table: {}\ncolumns: {x: {type: int64, domain: [a]}}", "column 'x': domain"),
        ("table: {}\ncolumns: {x: {type: string, domain: [1]}}", "domain: 1 is no text"),
        ("table: {}\ncolumns: {x: {type: int64, domain: [a]}}", "domain: 'a' is no whole number"),
        ("table: {}\ncolumns: {x: {type: float64, domain: [1]}}", "column 'x': domain"),
        ("table: {}\ncolumns: {x: {type: int64, minn: 1}}", "did you mean 'min'?"),
        ("table: {rows_mni: 1}\ncolumns: {}", "table: unknown key 'rows_mni'; did you mean 'rows_min'?"),
        ("table: {}\ncolumns: {x: {type: int64, drift: {metric: js, limit: 1}}}", "drift: unknown key 'limit'"),
        ("table: {}\ncolumns: {x: {type: int64, drift: {metric: psi, threshold: 1}}}", "psi"),
        ("table: {}\ncolumns: {x: {type: int64, drift: {metric: js, threshold: 2}}}", "threshold 2"),
        ("table: {}\ncolumns: {x: {type: float64, skew: {metric: linf, threshold: 0.1}}}", "linf"),
        ("table: {}\ncolumns: {x: {type: int64, min: 2, max: 1}}", "min 2.0 is greater than max 1.0"),
        ("table: {}\ncolumns: {x: {type: timestamp, min: 2}}", "a time such as"),
        ("table: {}\ncolumns: {x: {type: timestamp, min: yesterday}}", "yesterday"),
        ("table: {}\ncolumns: {x: {type: int64, null_max: 5}}", "null_max 5"),
        ("table: {}\ncolumns: {x: {type: strnig}}", "did you mean 'string'?"),
        ("table: {}\ncolumns: {x: {type: int64}, x: {type: string}}", "'x' stands there twice"),
        ("table: {rows_min: 5, rows_max: 4}\ncolumns: {x: {type: int64}}", "rows_max 4"),
        ("table: {freshness: soon, time: x}\ncolumns: {x: {type: timestamp}}", "freshness"),
        ("table: {freshness: 1d}\ncolumns: {x: {type: timestamp}}", "write time: COLUMN"),
        ("table: {}\ncolumns: {x: {type: int64}}\nchecks: {c: run}", "module:function"),
        ("table: {}\ncolumns: {x: {type: int64}}\nenvironments: {serving: {absent: [y]}}", "'y'"),
        ("table: {}\ncolumns: {x: {type: int64}}\nrules: {r: {sq: x > 1}}", "rules: r: unknown key 'sq'; did you mean 'sql'?"),
        ("table: {}\ncolumns: {x: {type: string, regex: '['}}", "column 'x': regex"),
        ("table: {}\ncolumns: {x: {type: int64, severity: fatal}}", "fatal"),
        ("table: {key: [y]}\ncolumns: {x: {type: int64}}", "'y'"),
        ("table: {time: y}\ncolumns: {x: {type: int64}}", "'y'"),
        ("table: {\ncolumns", "s.yaml"),
        ("", "s.yaml"),
        ("!!python/object/apply:os.system [ls]", "s.yaml"),
    ],
)
def test_a_schema_that_makes_no_sense_is_refused_with_the_place(text: str, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_schema(text, "s.yaml")
    assert caught.value.code == "data.schema"
    assert caught.value.message.startswith("s.yaml")
    assert words in caught.value.message
