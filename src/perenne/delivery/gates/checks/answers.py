"""The package itself: it answers its example as it did when it was made, and its compiled form answers like its source."""

from collections.abc import Mapping

from perenne import inference
from perenne.core.errors import Invalid
from perenne.delivery.gates.model import Finding, unknown
from perenne.delivery.gates.port import Setting
from perenne.delivery.gates.subject import Subject
from perenne.registry import Verdict


class Example:
    """The input example scores, and equals the stored answer."""

    name = "example"
    title = "it answers its example as when it was made"
    rests_on: tuple[str, ...] = ()
    settings: Mapping[str, Setting] = {}

    def unasked(self, subject: Subject) -> str:
        """It is always asked."""
        return ""

    def look(self, subject: Subject) -> Finding:
        """Load the package as a server does: every file is checked, and the example answered anew."""
        try:
            predictor = inference.load(subject.package)
            predictor.check_example()
        except Invalid as error:
            if error.code.startswith("inference."):
                return Finding(verdict=Verdict.FAIL, detail=error.message)
            raise
        rows = len(predictor.example.predictions)
        if not rows:
            return unknown("no example is stored with it")
        return Finding(verdict=Verdict.PASS, value=float(rows), unit="rows", detail="each answered as stored")


class Parity:
    """The compiled form answers like the model it was made from."""

    name = "parity"
    title = "the compiled form answers like its source"
    rests_on: tuple[str, ...] = ()
    settings: Mapping[str, Setting] = {}

    def unasked(self, subject: Subject) -> str:
        """It is always asked."""
        return ""

    def look(self, subject: Subject) -> Finding:
        """Read the proof that lies in the package, whose bytes its digest vouches for."""
        proof = subject.predictor.parity
        rows = proof.rows + proof.threshold_rows + proof.missing_rows
        if proof.converter == "source":
            return Finding(verdict=Verdict.PASS, detail=proof.sentence, facts={"form": proof.form})
        if not proof.rows:
            return unknown("no row was compared")
        held = proof.labels_differing == 0 and proof.largest_difference < proof.tolerance
        return Finding(
            verdict=Verdict.PASS if held else Verdict.FAIL,
            value=proof.largest_difference,
            limit=proof.tolerance,
            detail=f"{proof.form} form by {proof.converter}: {rows} rows, {proof.labels_differing} labels differ",
            facts={"form": proof.form, "converter": proof.converter, "rows": rows, "dropped": [d.form for d in proof.dropped]},
        )
