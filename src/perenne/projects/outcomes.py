"""What a project says of what its answers lead to: outcomes that are posted like labels."""

import re
from collections.abc import Sequence
from enum import StrEnum

import msgspec

from perenne.core.errors import Invalid

DECISION = "decision"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")


class OutcomeKind(StrEnum):
    """What the values of an outcome are: yes or no, an amount, or how often something happened."""

    RATE = "rate"
    AMOUNT = "amount"
    COUNT = "count"


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that becomes known after an answer and is not its label: a refund, a complaint, what it cost.

    Attributes
    ----------
    name : str
        What it is called where it is posted; a `Guardrail` on that name bounds its mean.
    kind : str
        rate, amount or count.

    >>> Outcome("refund").kind.value
    'rate'
    """

    name: str
    kind: OutcomeKind = OutcomeKind.RATE

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name) or self.name == DECISION:
            raise _wrong(
                f"Outcome({self.name!r}) cannot be used",
                f"letters, digits, dot, dash and underscore, at most 100; {DECISION} is what people decide",
            )
        if self.kind not in set(OutcomeKind):
            raise _wrong(f"Outcome({self.name!r}, kind={self.kind!r}) is not known", f"kind is one of: {', '.join(OutcomeKind)}")
        msgspec.structs.force_setattr(self, "kind", OutcomeKind(self.kind))

    def takes(self, value: float) -> bool:
        """Tell whether a number can be a value of it."""
        match self.kind:
            case OutcomeKind.RATE:
                return value in (0.0, 1.0)
            case OutcomeKind.COUNT:
                return value >= 0 and value == int(value)
            case _:
                return True


def checked_outcomes(outcomes: Sequence[Outcome]) -> tuple[Outcome, ...]:
    """Return outcomes as a project keeps them. Raises Invalid if one is none, or two have the same name."""
    for outcome in outcomes:
        if not isinstance(outcome, Outcome):
            raise _wrong(f"{outcome!r} is no Outcome", 'write Monitoring(outcomes=[pn.Outcome("refund")])')
    names = [outcome.name for outcome in outcomes]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise _wrong(f"two outcomes are called {twice!r}", "state each once")
    return tuple(outcomes)


def _wrong(message: str, hint: str) -> Invalid:
    return Invalid(message, code="project.outcome", hint=hint)
