"""What every gate does, whoever wrote it."""

import re

from perenne import delivery
from perenne.registry import Verdict

RESTS_ON = {"bounds", "champion", "project", "moment"}


class GateCheckContract:
    """For gates. Fixtures: `gate`, and `subject`, a version that it may look at; `broken`, one about which it cannot tell."""

    def test_its_name_can_stand_in_a_policy(self, gate: delivery.gates.GateCheck) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9-]{1,39}", gate.name)
        assert gate.title and gate.title[0].islower() and not gate.title.endswith(".")

    def test_it_says_what_it_rests_on_and_how_it_may_be_set(self, gate: delivery.gates.GateCheck) -> None:
        assert set(gate.rests_on) <= RESTS_ON
        assert all(isinstance(value, str | int | float | bool) for value in gate.settings.values())
        assert "timeout" not in gate.settings, "every gate has that one"

    def test_it_answers_with_a_finding_in_words(self, gate: delivery.gates.GateCheck, subject: delivery.gates.Subject) -> None:
        assert isinstance(gate.unasked(subject), str)
        found = delivery.gates.look(subject, gate, 120)
        assert isinstance(found, delivery.gates.Finding)
        assert found.detail

    def test_what_it_cannot_tell_is_unknown(self, gate: delivery.gates.GateCheck, broken: delivery.gates.Subject) -> None:
        assert isinstance(gate.unasked(broken), str)
        assert delivery.gates.look(broken, gate, 120).verdict is not Verdict.PASS
