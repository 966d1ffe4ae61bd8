"""What a project says of how it is watched."""

import msgspec
import pytest

from perenne.core.clock import DAY, HOUR
from perenne.core.errors import Invalid
from perenne.projects import Monitoring, Project, Retention


def test_what_is_said_is_read_again_and_old_records_still_are() -> None:
    said = Monitoring(baseline="phase", segments=["plan"], keep=Retention(hours="3d"))  # type: ignore[arg-type]
    assert msgspec.json.decode(msgspec.json.encode(said), type=Monitoring) == said
    assert said.keep.hours == 3 * DAY
    assert msgspec.json.decode(b'{"minimum_rows": 50}', type=Monitoring) == Monitoring(minimum_rows=50)


def test_windows_by_the_calendar_take_the_place_of_a_fixed_length() -> None:
    project = Project("churn", problem="", owner="crm", window="6h", monitoring=Monitoring(windows="day", zone="Asia/Kolkata"))
    assert (project.window, project.monitoring.grain) == (DAY, HOUR // 2)
    assert Project("churn", problem="", owner="crm", window="6h").window == 6 * HOUR


@pytest.mark.parametrize(
    "said",
    [
        {"minimum_rows": 0}, {"baseline": "yesterday"}, {"zone": "Mars/Olympus"}, {"windows": "month"}, {"segments": "plan"},
        {"segments": ["a", "a"]}, {"segments": list("abcde")}, {"groups": 0}, {"holidays": ["Christmas"]}, {"clusters": 3},
        {"every_rows": 5, "windows": "day"}, {"every_rows": -1}, {"draw": "hour"},
    ],
)  # fmt: skip
def test_what_cannot_be_is_named(said: dict[str, object]) -> None:
    with pytest.raises(Invalid) as found:
        Monitoring(**said)  # type: ignore[arg-type]
    assert next(iter(said)) in found.value.message or found.value.code == "project.zone"
    assert found.value.hint
