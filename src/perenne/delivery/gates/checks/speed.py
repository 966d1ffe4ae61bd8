"""Latency and throughput through the real model server, at a set number of callers, each with the next of many distinct rows."""

from collections.abc import Mapping

from perenne.delivery.gates.load import LEAST, Load
from perenne.delivery.gates.model import Finding, passed, unknown, worst
from perenne.delivery.gates.port import GateCheck, Setting
from perenne.delivery.gates.subject import Subject, whole
from perenne.projects import Guardrail, Objective
from perenne.registry import Verdict

_GPUS = frozenset({"CUDA", "Tensorrt", "NvTensorRTRTX", "ROCM", "MIGraphX", "DML", "CoreML"})

SETTINGS: dict[str, Setting] = {"concurrency": 8, "workers": 1, "seconds": 2}


def loaded(subject: Subject, gate: GateCheck) -> Load:
    """Ask the real model server as a gate's settings say."""
    concurrency, workers, seconds = (whole(subject.setting(gate, name), name, gate.name) for name in SETTINGS)
    return subject.load(concurrency, workers, float(seconds))


class Latency:
    """Answers come as soon as an objective says."""

    name = "latency"
    title = "the model server answers as soon as it must"
    rests_on: tuple[str, ...] = ("bounds",)
    settings: Mapping[str, Setting] = SETTINGS

    def unasked(self, subject: Subject) -> str:
        """It is asked where a limit is stated: of its own, or as an objective."""
        return "" if self._limits(subject) else "no latency is stated"

    def look(self, subject: Subject) -> Finding:
        """Hold what callers saw against each limit; an answer that failed fails it."""
        found = loaded(subject, self)
        if (bad := refused(found)) is not None:
            return bad
        values = {"latency_p50_ms": found.p50_ms, "latency_p99_ms": found.p99_ms}
        limits = self._limits(subject)
        parts = [passed(values[metric], at_most=limit, unit="ms") for metric, limit in limits.items()]
        verdict = worst(part.verdict for part in parts)
        shown = next((part for part in parts if part.verdict is verdict), passed(found.p99_ms, unit="ms"))
        detail = said(found) if limits else f"no latency is stated; {said(found)}"
        return Finding(verdict=verdict, value=shown.value, limit=shown.limit, unit="ms", detail=detail, facts=facts(found))

    def _limits(self, subject: Subject) -> dict[str, float]:
        own = subject.rules.of(self.name).at_most
        limits = {} if own is None else {"latency_p99_ms": own}
        for metric in ("latency_p99_ms", "latency_p50_ms"):
            bound = subject.rules.bound(metric)
            if bound is not None and bound.at_most is not None:
                limits.setdefault(metric, bound.at_most)
        return limits


class Throughput:
    """As many requests a second, and as little processor time, as an objective says."""

    name = "throughput"
    title = "the model server answers as many as it must"
    rests_on: tuple[str, ...] = ("bounds",)
    settings: Mapping[str, Setting] = SETTINGS

    def unasked(self, subject: Subject) -> str:
        """It is asked where a limit is stated: of its own, or as an objective."""
        return "" if self._limit(subject) is not None else "no throughput is stated"

    def look(self, subject: Subject) -> Finding:
        """Hold the answers of a second against the limit."""
        found, limit = loaded(subject, self), self._limit(subject)
        if (bad := refused(found)) is not None:
            return bad
        detail = said(found) if limit is not None else f"no throughput is stated; {said(found)}"
        return passed(found.rps, at_least=limit, unit="requests/s", detail=detail, facts=facts(found))

    def _limit(self, subject: Subject) -> float | None:
        own, bound = subject.rules.of(self.name).at_least, subject.rules.bound("throughput_rps")
        return own if own is not None else _at_least(bound)


class Gpu:
    """Answers on a GPU come as soon as they must: unknown wherever nobody can measure that."""

    name = "gpu"
    title = "the model server answers as soon as it must on a GPU"
    rests_on: tuple[str, ...] = ("moment",)
    settings: Mapping[str, Setting] = {}

    def unasked(self, subject: Subject) -> str:
        """It is asked where the project states it."""
        return "" if any(said.name == self.name for said in subject.rules.gates) else "no GPU is configured"

    def look(self, subject: Subject) -> Finding:
        """Say what stands in the way; the model server computes on the processor, so nothing is claimed for a GPU."""
        import onnxruntime

        offered = [name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers()]
        there = sorted(set(offered) & _GPUS)
        if not there:
            return unknown(f"there is no GPU here: ONNX Runtime offers {', '.join(offered)}", {"offered": offered})
        return unknown(
            f"ONNX Runtime offers {', '.join(there)}, but the model server computes on the processor", {"offered": offered}
        )


def _at_least(bound: Objective | Guardrail | None) -> float | None:
    return None if bound is None else bound.at_least


def refused(found: Load) -> Finding | None:
    """Say what is wrong with a run: answers that failed, or too few to speak of."""
    if found.errors:
        return Finding(verdict=Verdict.FAIL, detail=f"{found.errors} requests failed: {found.problem}", facts=facts(found))
    if found.requests < LEAST:
        return unknown(f"only {found.requests} answers in {found.seconds:.1f} s, {LEAST} are needed", facts(found))
    return None


def said(found: Load) -> str:
    """Return a run in a sentence."""
    cpu = "unknown" if found.cpu_us is None else f"{found.cpu_us:.0f} µs"
    return (
        f"{found.requests} requests, {found.rows} distinct rows in turn, {found.concurrency} callers, {found.workers} workers: "
        f"p50 {found.p50_ms:.3g} ms, p99 {found.p99_ms:.3g} ms, {found.rps:.0f} requests/s, {cpu} of CPU each"
    )


def facts(found: Load) -> dict[str, object]:
    """Return a run as JSON holds it."""
    import msgspec

    return msgspec.structs.asdict(found)
