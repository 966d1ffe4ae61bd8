"""Hiding personal data in a new version of a table: each rule turns the values of one column into others, always in the same way.

=================  =========================================================  ==============================================
rule               what becomes of a value                                    what is kept
=================  =========================================================  ==============================================
hash               32 hexadecimal digits of a keyed hash                      equality: tables still join, under one key
mask               letters and digits become dots                             how it looks
truncate:N         the first N characters or digits, as text                  the beginning, such as that of a post code
round:N            the multiple of N at or below a number                     the order, coarsely
day, month, year   the beginning of the day, month or year of a time          the time, coarsely
network            an address of IPv4 or IPv6 without its last part           the network
drop               the column goes                                            nothing
=================  =========================================================  ==============================================

A missing value stays missing. A number and the same number as text have the same hash.
"""

import ipaddress
from collections.abc import Callable, Mapping, Sequence

import msgspec
import pyarrow as pa

from perenne.core.errors import Invalid
from perenne.data.privacy.detecting import hidden
from perenne.data.privacy.keys import keyed_hash
from perenne.data.tables import Values, canonical, datatype_of, pc, whole

RULES = ("hash", "mask", "truncate:N", "round:N", "day", "month", "year", "network", "drop")
_PERIODS = ("day", "month", "year")


class MaskRule(msgspec.Struct, frozen=True):
    """What becomes of a column; `size` is the N of `truncate` and `round`."""

    column: str
    rule: str
    size: float = 0

    def __str__(self) -> str:
        return f"{self.column}={self.rule}" + (f":{self.size:g}" if self.size else "")


def read_rules(texts: Sequence[str]) -> tuple[MaskRule, ...]:
    """Read rules written as `column=rule` or `column=rule:N`; the last `=` parts them.

    Raises
    ------
    Invalid
        If one is not written so, or a column has two.

    >>> [str(rule) for rule in read_rules(["mail=hash", "zip=truncate:3"])]
    ['mail=hash', 'zip=truncate:3']
    """
    rules = tuple(map(_read_rule, texts))
    names = [rule.column for rule in rules]
    for name in names:
        if names.count(name) > 1:
            raise Invalid(f"rule: column {name!r} has two", code="data.mask_rule", hint="give one for each column")
    return rules


def _read_rule(text: str) -> MaskRule:
    column, sign, written = text.rpartition("=")
    rule, colon, size = written.partition(":")
    known = {name.partition(":")[0]: ":" in name for name in RULES}
    if not (sign and column) or rule not in known or known[rule] != bool(colon):
        hint = f"write column=rule, with one of {', '.join(RULES)}"
        raise Invalid(f"rule: {text[:100]!r} is none", code="data.mask_rule", hint=hint)
    try:
        number = float(size) if colon else 0.0
    except ValueError:
        number = -1.0
    if (colon and not 0 < number < 1e12) or (rule == "truncate" and number != int(number)):
        raise Invalid(f"rule: {text[:100]!r}: {size!r} is no size", code="data.mask_rule", hint="write a number above 0")
    return MaskRule(column, rule, number)


def mask_table(table: pa.Table, rules: Sequence[MaskRule], key: bytes) -> pa.Table:
    """Return a table with the rules carried out; the same table, rules and key give the same one.

    Raises
    ------
    Invalid
        If a column is not there, or its type does not go with its rule.
    """
    plain = canonical(table)
    for rule in rules:
        if rule.column not in plain.column_names:
            hint = f"there are {', '.join(plain.column_names[:20])}"
            raise Invalid(f"rule: there is no column {rule.column[:100]!r}", code="data.column", hint=hint)
        place = plain.column_names.index(rule.column)
        if rule.rule == "drop":
            plain = plain.remove_column(place)
        else:
            plain = plain.set_column(place, rule.column, pa.chunked_array([_masked(whole(plain.column(place)), rule, key)]))
    if not plain.num_columns:
        raise Invalid("rule: no column would be left", code="data.mask_rule", hint="keep one")
    return plain


def _masked(values: Values, rule: MaskRule, key: bytes) -> Values:
    datatype = datatype_of(values.type)
    if rule.rule in _PERIODS:
        _must_be(datatype, ("timestamp",), rule)
        return pc.floor_temporal(values, unit=rule.rule)
    if rule.rule == "round":
        _must_be(datatype, ("int64", "float64"), rule)
        rounded = pc.multiply(pc.floor(pc.divide(values.cast(pa.float64()), rule.size)), rule.size)
        return rounded.cast(values.type, safe=False) if rule.size == int(rule.size) else rounded
    if rule.rule == "truncate":
        _must_be(datatype, ("string", "int64"), rule)
        return pc.utf8_slice_codeunits(texts_of(values), 0, int(rule.size))
    if rule.rule == "network":
        _must_be(datatype, ("string",), rule)
    makers: Mapping[str, Callable[[str], str]] = {"hash": lambda text: keyed_hash(key, text), "mask": hidden, "network": _network}
    return _by_value(values, makers[rule.rule])


def _by_value(values: Values, make: Callable[[str], str]) -> Values:
    """Turn each different value, as text, into another."""
    encoded = values.dictionary_encode()
    texts = texts_of(encoded.dictionary).to_pylist()
    return pa.array([make(text) for text in texts], pa.string()).take(encoded.indices)


def texts_of(values: Values) -> Values:
    """Return values as the texts that stand for them: 5 and 5.0 have the same."""
    texts = values.cast(pa.string())
    return pc.replace_substring_regex(texts, r"\.0$", "") if pa.types.is_floating(values.type) else texts


def _network(text: str) -> str:
    """Keep the network of an address: the first three numbers of IPv4, the first 48 bits of IPv6; nothing of what is none.

    >>> _network("10.1.2.3"), _network("2001:db8:1:2::3"), _network("x")
    ('10.1.2.0', '2001:db8:1::', '')
    """
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return ""
    length = 24 if address.version == 4 else 48
    return str(ipaddress.ip_network((address, length), strict=False).network_address)


def _must_be(datatype: str, wanted: tuple[str, ...], rule: MaskRule) -> None:
    if datatype not in wanted:
        raise Invalid(
            f"rule: {rule} is for {' and '.join(wanted)}, and the column is {datatype}",
            code="data.mask_rule",
            hint=f"one of {', '.join(RULES)}",
        )
