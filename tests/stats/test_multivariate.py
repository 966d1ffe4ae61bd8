import numpy as np
import pytest
from tests.stats.streams import fields_of

from perenne.core.errors import Invalid
from perenne.stats.columns import Column
from perenne.stats.multivariate import compare


def turned(seed: int, together: float, rows: int = 500) -> dict[str, Column]:
    """Draw columns that each stay as they are; only how two go together is given."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, (3, rows))
    x[1] = together * x[0] + np.sqrt(1 - together**2) * x[1]
    return {"a": x[0], "b": x[1], "c": x[2], "level": np.array(["u", "v", None], object)[rng.integers(0, 3, rows)]}


@pytest.mark.parametrize("name", ["dissimilarity", "empirical_mmd", "ed", "reconstruction_error"])
def test_a_change_of_correlation_alone_is_found_and_no_change_is_not(name: str) -> None:
    reference = turned(0, 0.9)
    fields = fields_of(reference)
    assert compare(reference, turned(1, 0.9), fields, name).verdict == "ok"
    found = compare(reference, turned(2, -0.5), fields, name)
    assert found.verdict == "alarm" and found.p is not None and found.p < 0.001


def test_few_rows_say_nothing_and_names_are_checked() -> None:
    reference = turned(0, 0.9)
    fields = fields_of(reference)
    assert compare(reference, turned(1, 0.9, rows=5), fields, "mmd").verdict == "unknown"
    with pytest.raises(Invalid, match="no statistic of whole rows"):
        compare(reference, reference, fields, "psi")
