"""Whether a column seems to hold personal data, and who may see its values: what every output of values asks.

What decides is in `perenne.data.privacy`: the shape of the values, with a check digit where the kind has one; a name alone never.
"""

import re
from collections.abc import Collection, Iterable, Sequence

import msgspec

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, allowed, require
from perenne.data.comparing import ColumnDifference
from perenne.data.model import Anomaly, ColumnProfile, DataProfile, Sample, ValueCount
from perenne.data.privacy.detecting import personal_in
from perenne.data.tables import Values
from perenne.storage.database import Transaction

_HIDDEN = "•"


def kind_of(profile: ColumnProfile, sample: Values) -> str:
    """Return the kind of personal data that a column seems to hold, of `privacy.kinds`; an empty text if none, or only a hint.

    Parameters
    ----------
    sample : pyarrow.Array
        Some of its values.

    >>> import pyarrow as pa
    >>> texts = pa.array(["ada@example.org", "bob@example.org", None])
    >>> kind_of(ColumnProfile(name="x", type="string", count=2, nulls=1, distinct=2, top=()), texts)
    'email'
    """
    found = personal_in(profile.name, sample)
    return found.kind if found is not None and not found.hint else ""


def reveals(actor: Principal) -> bool:
    """Tell whether somebody may see personal data as it is: whoever owns a project."""
    return allowed(actor, Action.EDIT_PROJECT)


def record_reveal(tx: Transaction, actor: Principal, profile: DataProfile) -> None:
    """Write down that somebody looked at personal data of a snapshot; a file is on that person's own disk.

    Raises
    ------
    Denied
        If no role of the actor allows it.
    """
    record_revealed(tx, actor, profile.digest, [column.name for column in profile.columns if column.personal])


def record_revealed(tx: Transaction, actor: Principal, snapshot: str, columns: Sequence[str]) -> None:
    """Write down that somebody looked at some columns of a snapshot; an empty id stands for a file. Raises Denied."""
    require(actor, Action.EDIT_PROJECT)
    if columns and snapshot:
        audit.record(tx, actor, "snapshot.reveal", "snapshot", snapshot, after={"columns": list(columns[:50])})


def masked(profile: DataProfile) -> DataProfile:
    """Return a profile in which values of columns with personal data are replaced by their shapes."""
    if not any(column.personal and not column.masked for column in profile.columns):
        return profile
    personal = {column.name for column in profile.columns if column.personal}
    pairs = tuple(pair for pair in profile.pairs if pair.x not in personal and pair.y not in personal)
    return msgspec.structs.replace(profile, columns=tuple(map(masked_column, profile.columns)), pairs=pairs)


def masked_column(column: ColumnProfile) -> ColumnProfile:
    """Replace the values of a column by their shapes, if it seems to hold personal data."""
    if not column.personal:
        return column
    top = tuple(ValueCount(mask(item.value), item.count) for item in column.top)
    target = column.target
    if target is not None:
        bins = tuple(msgspec.structs.replace(item, label=mask(item.label)) for item in target.bins)
        target = msgspec.structs.replace(target, bins=bins)
    return msgspec.structs.replace(column, top=top, target=target, numbers=None, times=None, masked=True)


def masked_findings(profile: DataProfile | None, findings: Iterable[Anomaly]) -> tuple[Anomaly, ...]:
    """Return anomalies in which the sample rows of columns with personal data do not show their values."""
    personal = {column.name for column in profile.columns if column.personal} if profile is not None else set()
    return masked_in(personal, findings)


def masked_in(personal: Collection[str], findings: Iterable[Anomaly]) -> tuple[Anomaly, ...]:
    """Return anomalies that do not show values of some columns; a key of several is hidden if any of them is such a column."""
    return tuple(
        _masked_finding(item) if item.column in personal or not set(item.column.split(", ")).isdisjoint(personal) else item
        for item in findings
    )


def _masked_finding(finding: Anomaly) -> Anomaly:
    samples = tuple(Sample(item.row, None if item.value is None else mask(item.value)) for item in finding.sample_rows)
    return msgspec.structs.replace(finding, sample_rows=samples)


def hidden(found: Iterable[ColumnDifference], *sides: DataProfile) -> tuple[ColumnDifference, ...]:
    """Return differences that quote no value of a column with personal data on either side."""
    personal = {column.name for side in sides for column in side.columns if column.personal}
    return tuple(
        msgspec.structs.replace(item, words=masked_words(item.words)) if item.name in personal else item for item in found
    )


def masked_words(words: str) -> str:
    """Hide the values that a sentence quotes.

    >>> masked_words("new: 'ada@example.org' 3.0%")
    "new: '•••@•••••••.•••' 3.0%"
    """
    return re.sub(r"'.*'", lambda found: mask(found[0]), words)


def mask(text: str) -> str:
    """Hide what a text says and keep how it looks.

    >>> mask("ada@example.org"), mask("(missing)")
    ('•••@•••••••.•••', '(missing)')
    """
    return text if text in ("(missing)", "(others)") else re.sub(r"\w", _HIDDEN, text)
