"""What the shared counters say, in Prometheus' words, and the route for it: one scrape of any worker shows the whole server."""

from collections.abc import Iterator

import perenne
from perenne.auth.roles import Action
from perenne.formats import prometheus
from perenne.formats.prometheus import Family, Sample, histogram
from perenne.formats.windows import LATENCY_EDGES_US
from perenne.net.asgi import Reply, Request, Route
from perenne.net.inbound import error_reply
from perenne.serving import peer_metrics
from perenne.serving.counters import BATCH_EDGES, Counters, Gauge, Outcome, SeriesCounts, SeriesKey, Stage, name_of_block
from perenne.serving.runtime import Runtime

_EDGES = tuple(edge / 1_000_000 for edge in LATENCY_EDGES_US)
_SINGLE = (
    ("perenne_generation", "gauge", "Generation of the deployment in every worker that is ready.", Gauge.GENERATION),
    ("perenne_ready", "gauge", "Whether the worker takes requests.", Gauge.READY),
    (
        "perenne_stands_in",
        "gauge",
        "Whether the previous version answers because the champion cannot be loaded.",
        Gauge.STANDS_IN,
    ),
    ("perenne_in_flight", "gauge", "Requests being answered.", Gauge.IN_FLIGHT),
    ("perenne_queue_rows", "gauge", "Rows waiting to be predicted.", Gauge.QUEUE_ROWS),
    ("perenne_batches_total", "counter", "Calls of a model.", Gauge.BATCHES),
    ("perenne_payload_sent_total", "counter", "Messages handed to the observer.", Gauge.SENT),
    ("perenne_payload_dropped_total", "counter", "Answered rows that are not in the log.", Gauge.DROPPED),
    ("perenne_payload_waiting", "gauge", "Messages waiting for room on the way to the observer.", Gauge.BACKLOG),
    ("perenne_model_loads_total", "counter", "Releases loaded.", Gauge.LOADS),
    ("perenne_model_load_failures_total", "counter", "Releases that could not be loaded.", Gauge.LOAD_FAILURES),
)

_OF_STAGES = (
    (Stage.QUEUE, "perenne_queue_seconds", "From having read a request to the call of the model."),
    (Stage.PREDICT, "perenne_model_seconds", "How long the calls of the model took, by request."),
)

_OF_OBSERVER = (
    ("perenne_rows_left_out_total", "Rows that sampling leaves out of the log.", Gauge.LEFT_OUT),
    ("perenne_ecs_lines_total", "Rows written as lines of ECS.", Gauge.ECS_LINES),
    ("perenne_ecs_dropped_total", "Rows that could not be written as lines of ECS.", Gauge.ECS_DROPPED),
    ("perenne_elasticsearch_documents_total", "Rows that Elasticsearch has taken.", Gauge.INDEXED),
    ("perenne_elasticsearch_lost_total", "Rows that found no room, or that Elasticsearch refused.", Gauge.INDEX_LOST),
    ("perenne_events_sent_total", "CloudEvents that were taken.", Gauge.EVENTS_SENT),
    ("perenne_events_dropped_total", "CloudEvents that found no room, or were not taken.", Gauge.EVENTS_DROPPED),
)

_OF_PROCESSES = (
    (
        "perenne_heartbeat_timestamp_seconds",
        "gauge",
        "When each process was well last; 0 if none runs.",
        Gauge.BEAT_US,
        1e6,
    ),
    ("perenne_process_restarts_total", "counter", "How often each process died and was started again.", Gauge.RESTARTS, 1),
    (
        "perenne_process_over_memory_total",
        "counter",
        "How often each process was replaced because it held more than its memory.",
        Gauge.OVER_MEMORY,
        1,
    ),
    ("perenne_process_cpu_seconds_total", "counter", "CPU time each process has spent.", Gauge.CPU_US, 1e6),
    ("perenne_process_resident_memory_bytes", "gauge", "Resident memory of each process.", Gauge.RESIDENT_BYTES, 1),
)


def routes(runtime: Runtime) -> list[Route]:
    """Return the native routes of a worker; those of others' protocols are in `perenne.protocols`."""

    async def metrics(_: Request) -> Reply:
        found = [*families(runtime.counters)]
        if runtime.times_stages:
            found += peer_metrics.families(runtime.counters, runtime.counters.read(), perenne.__version__)
        return Reply(200, prometheus.render(found), prometheus.CONTENT_TYPE)

    return [Route("GET", "/metrics", metrics, error_reply, Action.READ)]


def families(counters: Counters) -> Iterator[Family]:
    """Go through the metrics of a server."""
    series = counters.read()
    requests = [
        Sample({**_labels(key), "outcome": outcome.name.lower()}, counts.outcomes[outcome])
        for key, counts in series.items()
        for outcome in Outcome
    ]
    yield Family("perenne_requests_total", "counter", "Requests for predictions.", requests)
    rows = [Sample(_labels(key), counts.rows) for key, counts in series.items()]
    yield Family("perenne_predictions_total", "counter", "Rows asked for.", rows)
    yield Family("perenne_predict_seconds", "histogram", "From arrival to answer.", list(_latency(series)))
    for stage, name, description in _OF_STAGES:
        total = sum(counts.stages[stage] for counts in series.values()) / 1e6
        yield Family(name, "histogram", description, histogram({}, _EDGES, counters.stage(stage), total))
    asked = sum(counts.rows for counts in series.values())
    sizes = histogram({}, BATCH_EDGES, counters.batch_sizes(), asked)
    yield Family("perenne_batch_rows", "histogram", "Rows that were predicted together.", sizes)
    observer = counters.blocks - 1
    for name, kind, description, gauge in _SINGLE:
        samples = [Sample({"worker": str(block)}, counters.get(gauge, block)) for block in _workers(counters, kind)]
        if gauge is Gauge.DROPPED:
            samples.append(Sample({"worker": "observer"}, counters.get(gauge, observer)))
        yield Family(name, kind, description, samples)
    seconds = [Sample({"worker": str(block)}, counters.get(Gauge.LOAD_US, block) / 1e6) for block in _workers(counters, "gauge")]
    yield Family("perenne_model_load_seconds", "gauge", "How long the last load took.", seconds)
    yield from _processes(counters)
    mirrors = counters.get(Gauge.MIRRORS_DROPPED, counters.blocks - 1)
    yield Family(
        "perenne_mirrors_dropped_total", "counter", "Rows that challengers could not keep up with.", [Sample({}, mirrors)]
    )
    logged = counters.get(Gauge.LOGGED_ROWS, counters.blocks - 1)
    for name, description, gauge in _OF_OBSERVER:
        yield Family(name, "counter", description, [Sample({}, counters.get(gauge, counters.blocks - 1))])
    yield Family("perenne_logged_rows_total", "counter", "Rows the observer has written.", [Sample({}, logged)])


def _processes(counters: Counters) -> Iterator[Family]:
    for name, kind, description, gauge, unit in _OF_PROCESSES:
        samples = [
            Sample({"process": name_of_block(counters, block)}, counters.get(gauge, block) / unit)
            for block in [*_workers(counters, kind), counters.blocks - 1]
        ]
        yield Family(name, kind, description, samples)


def _workers(counters: Counters, kind: str) -> list[int]:
    """Return the blocks of workers: what one that has left counted still counts, what it was does not."""
    flag = Gauge.RUNS if kind == "gauge" else Gauge.SERVED
    return [block for block in range(counters.blocks - 1) if counters.get(flag, block)]


def _latency(series: dict[SeriesKey, SeriesCounts]) -> Iterator[Sample]:
    for key, counts in series.items():
        yield from histogram(_labels(key), _EDGES, counts.cells, counts.latency_us / 1e6)


def _labels(key: SeriesKey) -> dict[str, str]:
    return {"deployment": key.deployment, "version": key.version, "variant": key.variant, "endpoint": key.endpoint}
