import msgspec
import pytest

from perenne.core.errors import Invalid
from perenne.projects import Monitoring
from perenne.stats.names import Chosen


def test_statistics_are_read_by_any_of_their_names_and_travel() -> None:
    plan = Monitoring(statistics={"amount": "POPULATION_STABILITY_INDEX", "plan": Chosen("TVD", 0.3), "*": "jensenshannon(0.15)"})
    assert plan.choices == {"amount": Chosen("psi", 0.2), "plan": Chosen("tv", 0.3), "*": Chosen("js_distance", 0.15)}
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Monitoring) == plan
    assert msgspec.json.encode(Monitoring()) == b"{}" and Monitoring().choices == {}
    assert msgspec.json.decode(b'{"statistics": {"amount": "psi"}}', type=Monitoring).choices["amount"] == Chosen("psi", 0.2)


@pytest.mark.parametrize(
    ("statistics", "code", "words"),
    [
        ({"amount": "pssi"}, "statistic.unknown", "'amount'"),
        ({"amount": "psi(-1)"}, "statistic.threshold", "'amount'"),
        ({"*": "domain_classifier"}, "statistic.needs_rows", "'*'"),
        ({"amount": 0.2}, "project.monitoring", "'amount'"),
        ({1: "psi"}, "project.monitoring", "names no feature"),
        (["psi"], "project.monitoring", "not a dictionary"),
    ],
)
def test_a_statistic_that_is_none_is_refused_by_name(statistics: object, code: str, words: str) -> None:
    with pytest.raises(Invalid) as raised:
        Monitoring(statistics=statistics)  # type: ignore[arg-type]
    assert raised.value.code == code and words in raised.value.message and raised.value.hint
