"""The SQL that rebuilds what a profile tells, for DuckDB, over a view called `data`."""

from collections.abc import Sequence

from perenne.data.model import QUANTILES, ColumnProfile, DataProfile, NumberProfile, PairProfile
from perenne.data.validation.rows import quoted

_CELLS = 16
_FEW = 20


def overview() -> str:
    """Return what DuckDB itself says of every column."""
    return "summarize data"


def duplicates() -> str:
    """Count the rows that repeat an earlier one."""
    return "select (select count(*) from data) - (select count(*) from (select distinct * from data)) as repeated"


def missing(columns: Sequence[str]) -> str:
    """Count the missing values of columns."""
    counts = ",\n       ".join(f"count(*) - count({quoted(name)}) as {quoted(name)}" for name in columns)
    return f"select {counts}\nfrom data"


def missing_together(columns: Sequence[str]) -> str:
    """Count the ways in which values are missing together."""
    flags = ", ".join(f"{quoted(name)} is null as {quoted(name)}" for name in columns)
    return f"select {flags}, count(*) as row_count\nfrom data\ngroup by all\norder by row_count desc\nlimit 20"


def top_values(column: ColumnProfile) -> str:
    """Count the most frequent values; those of personal data by their shapes."""
    name = quoted(column.name)
    value = f"regexp_replace(cast({name} as varchar), '\\w', '•', 'g')" if column.personal else name
    return (
        f"select {value} as value, count(*) as row_count\nfrom data\nwhere {name} is not null\ngroup by value\n"
        f"order by row_count desc, value\nlimit {_FEW}"
    )


def numbers(name: str) -> str:
    """Return the figures of a column of numbers."""
    shares = ", ".join(f"{share:g}" for share in QUANTILES)
    return f"""with v as (select cast({quoted(name)} as double) as x from data),
     f as (select x from v where isfinite(x))
select (select count(*) from v where x is null) as missing, (select count(*) from v where not isfinite(x)) as infinite,
       min(x) as least, max(x) as most, avg(x) as mean, stddev_samp(x) as sd,
       quantile_cont(x, [{shares}]) as quantiles,
       count(*) filter (where x = 0) as zeros, count(*) filter (where x < 0) as negatives
from f"""


def histogram(name: str, found: NumberProfile) -> str:
    """Count the numbers between the edges of the profile's histogram: from each edge up to the next."""
    edges = ", ".join(repr(edge) for edge in found.edges)
    count = len(found.edges)
    return f"""with v as (select cast({quoted(name)} as double) as x from data),
     edges as (select unnest(range(1, {count + 1})) as place, unnest([{edges}]::double[]) as edge)
select least(place, {count - 1}) as cell, min(edge) as edge, count(*) as row_count
from (select x from v where isfinite(x)) asof join edges on x >= edge
group by cell
order by cell"""


def lengths(name: str) -> str:
    """Return how long texts are, and their shapes."""
    shape = f"left({quoted(name)}, 20)"
    for pattern, letter in ((r"\p{Lu}", "A"), (r"\p{Ll}", "a"), (r"\d", "9")):
        shape = f"regexp_replace({shape}, '{pattern}', '{letter}', 'g')"
    return (
        f"select {shape} as shape, count(*) as row_count, min(length({quoted(name)})) as shortest,\n"
        f"       max(length({quoted(name)})) as longest\nfrom data\nwhere {quoted(name)} is not null\n"
        "group by shape\norder by row_count desc, shape\nlimit 10"
    )


def over_time(name: str, period: str) -> str:
    """Count rows per period."""
    at = quoted(name)
    return (
        f"select date_trunc('{period}', {at}) as period, count(*) as row_count\nfrom data\nwhere {at} is not null\n"
        "group by period\norder by period"
    )


def gaps(name: str) -> str:
    """Find the longest spans without a row."""
    at = quoted(name)
    return f"""with t as (select distinct {at} as instant from data where {at} is not null)
select instant as "from", lead(instant) over (order by instant) as "to", lead(instant) over (order by instant) - instant as gap
from t
qualify gap is not null
order by gap desc
limit 5"""


def correlations(pairs: Sequence[PairProfile]) -> str:
    """Return Pearson's and Spearman's coefficients of pairs."""
    lines = []
    for pair in pairs:
        x, y = _finite(pair.x), _finite(pair.y)
        both = _both(x, y)
        lines.append(
            f"select {_literal(pair.x)} as x, {_literal(pair.y)} as y, corr(a, b) as pearson,\n"
            f"       (select corr(ra, rb) from (select {_rank('a')} as ra,\n"
            f"                                         {_rank('b')} as rb\n"
            f"                                  from {both})) as spearman\nfrom {both}"
        )
    return "\nunion all\n".join(lines)


def _rank(value: str) -> str:
    """Return the mean rank of a value among equal ones."""
    return f"rank() over (order by {value}) + (count(*) over (partition by {value}) - 1) / 2.0"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _finite(name: str) -> str:
    return f"cast({quoted(name)} as double)"


def _both(x: str, y: str) -> str:
    return f"(select {x} as a, {y} as b from data where isfinite({x}) and isfinite({y}))"


def pair_cells(pair: PairProfile) -> str:
    """Count the rows in each cell of two columns."""
    return _cells(_both(_finite(pair.x), _finite(pair.y)))


def residual_cells(pair: PairProfile) -> str:
    """Count the rows in each cell of one column and of what a straight line leaves over."""
    both = _both(_finite(pair.x), _finite(pair.y))
    line = f"(select regr_slope(b, a) as slope, regr_intercept(b, a) as intercept from {both})"
    return _cells(f"(select a, b - slope * a - intercept as b from {both}, {line})")


def _cells(source: str) -> str:
    place = f"least({_CELLS - 1}, floor(({{0}} - low_{{0}}) / nullif(high_{{0}} - low_{{0}}, 0) * {_CELLS}))::int"
    ends = "min(a) as low_a, max(a) as high_a, min(b) as low_b, max(b) as high_b"
    return f"""with v as {source},
     ends as (select {ends} from v)
select {place.format("a")} as i, {place.format("b")} as j, count(*) as row_count
from v, ends
group by i, j
order by i, j"""


def target_means(column: ColumnProfile, profile: DataProfile) -> str:
    """Return the mean of the target by value of a column: by twenty quantiles of a number, by level of anything else."""
    assert profile.target is not None
    name, target = quoted(column.name), quoted(profile.target)
    kind = profile.column(profile.target)
    last = max((item.value for item in kind.top), default="")
    known = f"cast({target} as varchar) = {_literal(last)}" if kind.type in ("string", "bool") else target
    answer = f"avg(cast({known} as double))"
    if column.numbers is None and column.times is None:
        return (
            f"select {name} as value, count(*) as row_count, {answer} as mean\nfrom data\nwhere {target} is not null\n"
            f"group by value\norder by row_count desc\nlimit {_FEW}"
        )
    return (
        f"select min(value) as low, max(value) as high, count(*) as row_count, {answer} as mean\n"
        f"from (select {name} as value, {target}, ntile({_FEW}) over (order by {name}) as part from data\n"
        f"      where {name} is not null and {target} is not null)\ngroup by part\norder by low"
    )
