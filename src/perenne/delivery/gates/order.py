"""Every gate, cheapest first: ours, then those that other packages offer."""

from importlib.metadata import entry_points

from perenne.core.errors import Invalid
from perenne.delivery.gates.checks.answers import Example, Parity
from perenne.delivery.gates.checks.bounds import Fairness, Objectives, Slices
from perenne.delivery.gates.checks.budgets import Memory, Size, Start
from perenne.delivery.gates.checks.code import Lint, Tests
from perenne.delivery.gates.checks.compatible import Compatible
from perenne.delivery.gates.checks.data import Data
from perenne.delivery.gates.checks.not_worse import NotWorse
from perenne.delivery.gates.checks.parts import Bill, Licences, Vulnerabilities
from perenne.delivery.gates.checks.review import Review
from perenne.delivery.gates.checks.signature import Signature
from perenne.delivery.gates.checks.speed import Gpu, Latency, Throughput
from perenne.delivery.gates.port import GROUP, GateCheck


def all_gates() -> tuple[GateCheck, ...]:
    """Return the gates in their order.

    Raises
    ------
    Invalid
        If a package offers one that cannot be imported, or under a name that is taken.
    """
    ours: tuple[GateCheck, ...] = (
        Lint(), Tests(), Data(), Compatible(), Example(), Parity(), Size(), Objectives(), Slices(), Fairness(), NotWorse(),
        Latency(), Throughput(), Gpu(), Start(), Memory(), Bill(), Vulnerabilities(), Licences(), Signature(), Review(),
    )  # fmt: skip
    found = {gate.name: gate for gate in ours}
    for offered in entry_points(group=GROUP):
        try:
            gate: GateCheck = offered.load()()
        except Exception as error:
            raise _wrong(f"gate {offered.name!r} cannot be imported: {type(error).__name__}: {error}") from error
        if gate.name in found:
            raise _wrong(f"gate {gate.name!r} is offered twice")
        found[gate.name] = gate
    return tuple(found.values())


def _wrong(message: str) -> Invalid:
    return Invalid(message, code="gate.offered", hint="remove the package that offers it, or mend it")
