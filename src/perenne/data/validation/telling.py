"""What was found, as whoever reads it may see it: values of columns that seem to hold personal data are hidden."""

from collections.abc import Iterable

from perenne.data.model import Anomaly, DataProfile
from perenne.data.personal import masked_findings
from perenne.data.privacy.detecting import find_personal
from perenne.data.validation.rows import Rows

_LOOKED_AT = 5_000


def personal_columns(rows: Rows) -> set[str]:
    """Return the columns that seem to hold personal data, by the first rows."""
    return {item.column for item in find_personal(rows.head(rows.names, _LOOKED_AT)) if not item.hint}


def sentences(profile: DataProfile, found: Iterable[Anomaly]) -> list[str]:
    """Put anomalies into words that anybody may read."""
    return [item.sentence for item in masked_findings(profile, found)]
