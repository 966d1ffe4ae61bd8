"""The same figures under the names that other servers have, so that dashboards and alerts made for those go on working.

Names and labels are those of Triton, KServe's Python server, MLServer 1.7 and BentoML 1.4. Left out with
`PERENNE_PEER_METRICS=0`, which also spares the timing of each request's parts.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from perenne.formats.prometheus import Family, Sample, histogram
from perenne.formats.windows import LATENCY_EDGES_US
from perenne.serving.counters import BATCH_EDGES, Counters, Gauge, Outcome, SeriesCounts, SeriesKey, Stage

Series = Mapping[SeriesKey, SeriesCounts]
_EDGES = tuple(edge / 1_000_000 for edge in LATENCY_EDGES_US)
_STATUS = {
    Outcome.OK: "200",
    Outcome.FALLBACK: "200",
    Outcome.INVALID: "400",
    Outcome.UNAVAILABLE: "503",
    Outcome.FAILED: "500",
}
_REASONS = {"REJECTED": Outcome.UNAVAILABLE, "BACKEND": Outcome.FAILED, "OTHER": Outcome.INVALID}
_PATHS = {
    "infer": "/v2/models/{model_name}/infer",
    "invocations": "/invocations",
    "predict": "/v1/models/{model_name}:predict",
}
_TRITON_STAGES = (
    ("nv_inference_queue_duration_us", "Cumulative inference queuing duration in microseconds.", Stage.QUEUE),
    ("nv_inference_compute_input_duration_us", "Cumulative compute input duration in microseconds.", Stage.READ),
    ("nv_inference_compute_infer_duration_us", "Cumulative compute inference duration in microseconds.", Stage.PREDICT),
    ("nv_inference_compute_output_duration_us", "Cumulative compute output duration in microseconds.", Stage.WRITE),
)
_KSERVE_STAGES = (
    ("request_preprocess_seconds", "pre-process request latency", Stage.READ),
    ("request_predict_seconds", "predict request latency", Stage.PREDICT),
    ("request_postprocess_seconds", "post-process request latency", Stage.WRITE),
)


def families(counters: Counters, series: Series, version: str) -> Iterator[Family]:
    """Go through the metrics; `version` is ours."""
    yield from _triton(counters, series)
    yield from _kserve(counters, series)
    yield from _mlserver(counters, series)
    yield from _bentoml(counters, series, version)


def _triton(counters: Counters, series: Series) -> Iterator[Family]:
    success = _by_model(series, _answered)
    failure = [
        Sample({**_model(key), "reason": reason}, counts)
        for reason, outcome in _REASONS.items()
        for key, counts in _summed(series, partial(_outcome, outcome)).items()
    ]
    yield Family("nv_inference_request_success", "counter", "Number of successful inference requests.", success)
    yield Family("nv_inference_request_failure", "counter", "Number of failed inference requests.", failure)
    yield Family(
        "nv_inference_count", "counter", "Number of inferences performed.", _by_model(series, lambda counts: counts.rows)
    )
    executed = _by_model(series, lambda counts: counts.batches)
    yield Family("nv_inference_exec_count", "counter", "Number of model executions performed.", executed)
    took = _by_model(series, lambda counts: counts.latency_us)
    yield Family("nv_inference_request_duration_us", "counter", "Cumulative inference request duration in microseconds.", took)
    for name, description, stage in _TRITON_STAGES:
        yield Family(name, "counter", description, _by_model(series, partial(_in_stage, stage)))
    pending = [Sample({"model": name, "version": ""}, counters.total(Gauge.IN_FLIGHT)) for name in _deployments(series)]
    yield Family("nv_inference_pending_request_count", "gauge", "Requests awaiting execution.", pending)


def _kserve(counters: Counters, series: Series) -> Iterator[Family]:
    for name, description, stage in _KSERVE_STAGES:
        total = sum(counts.stages[stage] for counts in series.values()) / 1e6
        samples = [
            sample
            for model in _deployments(series)[:1]
            for sample in histogram({"model_name": model}, _EDGES, counters.stage(stage), total)
        ]
        yield Family(name, "histogram", description, samples)


def _mlserver(counters: Counters, series: Series) -> Iterator[Family]:
    success = _by_model(series, _answered)
    failed = _by_model(series, lambda counts: sum(counts.outcomes) - _answered(counts))
    yield Family("model_infer_request_success_total", "counter", "Model infer request success count", success)
    yield Family("model_infer_request_failure_total", "counter", "Model infer request failure count", failed)
    rest = [
        Sample({"method": "POST", "path": path, "status_code": status, "app_name": "perenne"}, value)
        for (path, status), value in _by_status(series, lambda endpoint: _PATHS.get(endpoint, endpoint)).items()
    ]
    yield Family("rest_server_requests_total", "counter", "Total HTTP requests", rest)
    took = [sample for endpoint in _endpoints(series) for sample in _latency(series, endpoint, _rest_labels(endpoint))]
    yield Family("rest_server_requests_duration_seconds", "histogram", "HTTP request duration, in seconds", took)
    flying = [Sample({"method": "POST", "app_name": "perenne"}, counters.total(Gauge.IN_FLIGHT))]
    yield Family("rest_server_requests_in_progress", "gauge", "Total HTTP requests currently in progress", flying)
    sizes = histogram({}, BATCH_EDGES, counters.batch_sizes(), sum(counts.rows for counts in series.values()))
    yield Family("batch_request_queue", "histogram", "counter of request queue batch size", sizes)


def _bentoml(counters: Counters, series: Series, version: str) -> Iterator[Family]:
    names = _deployments(series)
    common = {"service_name": names[0] if names else "", "service_version": version}
    requests = [
        Sample({"endpoint": endpoint, **common, "http_response_code": status}, value)
        for (endpoint, status), value in _by_status(series, lambda endpoint: f"/{endpoint}").items()
    ]
    yield Family("bentoml_service_request_total", "counter", "Total number of HTTP requests", requests)
    took = [
        sample
        for endpoint in _endpoints(series)
        for sample in _latency(series, endpoint, {"endpoint": f"/{endpoint}", **common, "http_response_code": "200"})
    ]
    yield Family("bentoml_service_request_duration_seconds", "histogram", "API HTTP request duration in seconds", took)
    flying = [Sample({"endpoint": "/", **common}, counters.total(Gauge.IN_FLIGHT))]
    yield Family("bentoml_service_request_in_progress", "gauge", "Total number of HTTP requests in progress now", flying)
    labels = {"runner_name": common["service_name"], "worker_index": "0", "method_name": "predict", **common}
    sizes = histogram(labels, BATCH_EDGES, counters.batch_sizes(), sum(counts.rows for counts in series.values()))
    yield Family("bentoml_service_adaptive_batch_size", "histogram", "Service adaptive batch size", sizes)


def _outcome(outcome: Outcome, counts: SeriesCounts) -> int:
    return counts.outcomes[outcome]


def _in_stage(stage: Stage, counts: SeriesCounts) -> int:
    return counts.stages[stage]


def _answered(counts: SeriesCounts) -> int:
    return counts.outcomes[Outcome.OK] + counts.outcomes[Outcome.FALLBACK]


def _model(key: SeriesKey) -> dict[str, str]:
    return {"model": key.deployment, "version": key.version.rpartition("@")[2]}


def _summed(series: Series, figure: Callable[[SeriesCounts], int]) -> dict[SeriesKey, int]:
    """Add a figure up by deployment and version."""
    sums: dict[SeriesKey, int] = {}
    for key, counts in series.items():
        whole = SeriesKey(key.deployment, key.version, "", "")
        sums[whole] = sums.get(whole, 0) + figure(counts)
    return sums


def _by_model(series: Series, figure: Callable[[SeriesCounts], int]) -> list[Sample]:
    return [Sample(_model(key), value) for key, value in _summed(series, figure).items()]


def _deployments(series: Series) -> list[str]:
    return sorted({key.deployment for key in series if key.deployment})


def _endpoints(series: Series) -> list[str]:
    return sorted({key.endpoint for key in series})


def _by_status(series: Series, name: Callable[[str], str]) -> dict[tuple[str, str], int]:
    """Add requests up by endpoint and status."""
    sums: dict[tuple[str, str], int] = {}
    for key, counts in series.items():
        for outcome, status in _STATUS.items():
            place = name(key.endpoint), status
            sums[place] = sums.get(place, 0) + counts.outcomes[outcome]
    return sums


def _rest_labels(endpoint: str) -> dict[str, str]:
    return {"method": "POST", "path": _PATHS.get(endpoint, endpoint), "status_code": "200", "app_name": "perenne"}


def _latency(series: Series, endpoint: str, labels: dict[str, str]) -> list[Sample]:
    found = [counts for key, counts in series.items() if key.endpoint == endpoint]
    cells = [sum(column) for column in zip(*(counts.cells for counts in found), strict=True)]
    return histogram(labels, _EDGES, cells, sum(counts.latency_us for counts in found) / 1e6)
