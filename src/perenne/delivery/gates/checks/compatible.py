"""The signature: whoever calls the champion can call this version as before, and gets the same kind of answer."""

from collections.abc import Iterator, Mapping

from perenne import inference
from perenne.delivery.gates.model import Finding, passed
from perenne.delivery.gates.port import Setting
from perenne.delivery.gates.subject import Subject
from perenne.inference import Signature
from perenne.stats.columns import Field, FieldKind


class Compatible:
    """Same or wider inputs, same outputs."""

    name = "compatible"
    title = "the champion's callers can call it"
    rests_on: tuple[str, ...] = ("champion",)
    settings: Mapping[str, Setting] = {}

    def unasked(self, subject: Subject) -> str:
        """It is asked where there is a champion."""
        if subject.champion is None:
            return "there is no champion, so nobody calls it yet"
        return "it is the champion itself" if subject.champion.id == subject.version.id else ""

    def look(self, subject: Subject) -> Finding:
        """Compare the signatures."""
        rival = subject.rival
        before = inference.describe(subject.workspace.objects, subject.as_served(rival).tree).signature
        breaks = list(differences(before, subject.signature))
        detail = "; ".join(breaks) or f"{len(subject.signature.fields)} inputs, as {rival.id} or wider"
        return passed(
            float(len(breaks)), at_most=0.0, unit="breaks", detail=detail, facts={"breaks": breaks, "against": rival.id}
        )


def differences(before: Signature, after: Signature) -> Iterator[str]:
    """Say what callers of one signature would notice at another one; what is no longer taken is ignored, and hurts nobody."""
    sent = {field.name: field for field in before.fields}
    for field in after.fields:
        if field.name not in sent:
            yield f"input {field.name} is new: callers do not send it"
        elif not takes(field, sent[field.name]):
            yield f"input {field.name} takes {_kind(field)}, callers send {_kind(sent[field.name])}"
    if before.task is not after.task:
        yield f"it answers {after.task.value}, not {before.task.value}"
    elif before.outputs != after.outputs:
        yield "it answers other tensors"
    elif tuple(before.classes) != tuple(after.classes):
        yield "it answers other classes, or in another order"


def takes(field: Field, sent: Field) -> bool:
    """Tell whether an input takes what callers send for another one."""
    if field.kind is not sent.kind:
        return False
    if field.kind is FieldKind.TENSOR:
        same = field.datatype == sent.datatype and len(field.shape) == len(sent.shape)
        return same and all(wanted in (-1, given) for wanted, given in zip(field.shape, sent.shape, strict=True))
    if field.kind is FieldKind.CATEGORY:
        return field.datatype != "bool" or sent.datatype == "bool"
    return True


def _kind(field: Field) -> str:
    shape = f" of shape {list(field.shape)}" if field.kind is FieldKind.TENSOR else ""
    return f"{field.kind.value} ({field.datatype}{shape})"
