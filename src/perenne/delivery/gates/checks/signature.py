"""The signature: the files are those that somebody signed whose key counts here."""

from collections.abc import Mapping

from perenne import registry
from perenne.delivery.gates.model import Finding
from perenne.delivery.gates.port import Setting
from perenne.delivery.gates.subject import Subject
from perenne.inference import SignatureState
from perenne.registry import Verdict

_VERDICTS = {SignatureState.VALID: Verdict.PASS, SignatureState.UNKNOWN: Verdict.UNKNOWN}


class Signature:
    """Signed by a key that is trusted."""

    name = "signature"
    title = "its files are signed by a key that is trusted"
    rests_on: tuple[str, ...] = ("moment",)
    settings: Mapping[str, Setting] = {}

    def unasked(self, subject: Subject) -> str:
        """It is asked where the policy asks for signatures, or there is one."""
        if why := subject.unpackaged:
            return why
        version = subject.as_served(subject.version)
        with subject.workspace.database.read() as tx:
            policy, recorded = registry.trust.policy(tx, version.project), registry.trust.recorded(tx, [version.tree])
        unsigned = recorded[version.tree].state is SignatureState.UNSIGNED
        return "nobody has signed it, and no policy asks for that" if unsigned and policy.require != "on" else ""

    def look(self, subject: Subject) -> Finding:
        """Judge the signature over the files in the object store."""
        version = subject.as_served(subject.version)
        found = registry.trust.seals(subject.workspace, [version.tree], version.project)[version.tree].signed
        facts = {"state": found.state.value, "key": found.key, "signer": found.signer, "own": found.own}
        detail = found.detail or found.state.value
        return Finding(verdict=_VERDICTS.get(found.state, Verdict.FAIL), detail=detail, facts=facts)
