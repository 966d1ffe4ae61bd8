"""Steps in child processes: the same results as here, killed when they take too long, refused when their code is another one."""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from tests.pipelines.isolated_steps import Recipe, away, endless, flow, norm, raising, tripled, troubles, vector

from perenne.compute import Executor, InlineExecutor, ProcessExecutor, ThreadExecutor, WorkTimeout
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.pipelines import Engine, Progress, StepEvent, pipeline, step
from perenne.pipelines.code import CodeReader
from perenne.pipelines.errors import NotEncodable
from perenne.pipelines.execution import LOSSES
from perenne.pipelines.remote import code_name, find
from perenne.storage.database import Database
from perenne.storage.objects import FileObjects, ObjectStore, open_objects


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessExecutor]:
    executor = ProcessExecutor(2)
    yield executor
    executor.close()


def test_the_same_pipeline_gives_the_same_everywhere(tmp_path: Path, objects: ObjectStore, processes: ProcessExecutor) -> None:
    file = tmp_path / "input.txt"
    file.write_text("xyz")
    executors: list[Executor] = [InlineExecutor(), ThreadExecutor(2), processes]
    found = []
    for number, executor in enumerate(executors):
        with (
            Database.open(f"sqlite:///{tmp_path}/{number}.db") as database,
            Engine(database, objects, executor=executor) as engine,
        ):
            run = engine.run(flow, 3, file)
            assert (run.state, run.hits) == ("done", 0), run.error
            keys = sorted((record.name, record.key) for record in run.steps)
            found.append((run.output, keys, engine.run(flow, 3, file).hits))
    executors[1].close()
    assert found[0] == found[1] == found[2]
    assert found[0][0] == flow(3, file)


def test_children_open_the_same_bucket(tmp_path: Path, database: Database, s3: str) -> None:
    file = tmp_path / "input.txt"
    file.write_text("xyz")
    for executor in (InlineExecutor(), ProcessExecutor(2)):  # children of this test's own, which see its credentials
        objects = open_objects(f"{s3}/{executor.shares_memory}")
        with Engine(database, objects, executor=executor) as engine:
            run = engine.run(flow, 3, file)
            assert (run.state, run.output) == ("done", flow(3, file)), run.error
            kept = set(objects.digests())
            assert len(kept) == 4, "three arrays and a file"
            for digest in kept:
                objects.delete(digest)
            assert engine.run(flow, 3, file).output == run.output
            assert set(objects.digests()) == kept, "what is lost from the bucket is made again"
        executor.close()


def test_progress_of_a_child_is_heard_here(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "input.txt"
    file.write_text("xyz")
    events: list[StepEvent] = []
    run = engine.run(away, 1, Recipe(1), tripled, file, (1, 2), on_event=events.append)
    assert run.state == "done", run.error
    assert Progress("away", "half way", 0.5) in events
    assert run.steps[0].cpu_seconds > 0


def test_what_goes_wrong_in_a_child_stays_there(engine: Engine) -> None:
    start = time.monotonic()
    run = engine.run(troubles)
    assert time.monotonic() - start < 50
    errors = [record.error for record in run.steps]
    assert errors[0] == "took longer than 0.2 s and was killed"
    assert "ended with status -9" in errors[1]
    assert run.steps[1].attempt == LOSSES + 1  # that a worker dies is no try of the step's own, up to a point
    assert errors[2] == "Odd: not mine"
    assert errors[3] == "no such thing"
    assert errors[4] == "ValueError: bad"
    assert errors[5] == ""
    assert isinstance(engine.run(endless, 60).error, WorkTimeout)
    error = engine.run(raising, "perenne").error
    assert isinstance(error, NotFound)
    assert (error.code, error.hint) == ("thing.not_found", "look elsewhere")


def test_a_timeout_needs_a_process() -> None:
    with pytest.raises(Invalid) as error:
        step(timeout="1m", isolate=False)
    assert error.value.code == "pipelines.timeout"
    assert step(timeout="1m")(tripled).options.timeout == 60
    assert step(timeout="1m")(tripled).options.isolate


def test_resources_are_numbers_and_no_part_of_the_key(engine: Engine) -> None:
    for wrong in ({"cpu": -1}, {"gpu": math.inf}, {"": 1}, {"memory": "4G"}, {"cpu": True}):
        with pytest.raises(Invalid) as error:
            step(resources=wrong)  # type: ignore[arg-type]
        assert error.value.code == "pipelines.resources"
    assert engine.run(step(tripled), 2.0).hits == 0
    assert engine.run(step(resources={"cpu": 2, "gpu": 1})(tripled), 2.0).hits == 1


def test_what_another_process_could_not_find_is_refused(engine: Engine) -> None:
    @step(isolate=True)
    def local(x: int) -> int:
        return x

    @step(isolate=True)
    def calling(function: Callable[[], int]) -> int:
        return function()

    assert isinstance(engine.run(local, 1).error, NotEncodable)
    assert "top level" in str(getattr(engine.run(local, 1).error, "hint", ""))


def test_changed_code_is_refused(tmp_path: Path) -> None:
    reader = CodeReader(Path(__file__).parent)
    name = code_name(tripled, reader)
    assert find(name, reader) is tripled
    with pytest.raises(Conflict) as error:
        find(msgspec.structs.replace(name, hash="0" * 32), reader)
    assert error.value.code == "pipelines.code_changed"


def test_a_project_file_is_loaded_by_its_path(database: Database, objects: ObjectStore, tmp_path: Path) -> None:
    """As `projects.load_project` does it: under a name nobody can import, with helpers beside it."""
    import importlib.util
    import sys

    (tmp_path / "beside_project.py").write_text("def helped(x):\n    return x * 10\n")
    file = tmp_path / "project.py"
    file.write_text(
        "from beside_project import helped\n"
        "from perenne.pipelines import step\n"
        "@step(isolate=True)\n"
        "def fit(x: int) -> int:\n"
        "    return helped(x) + 1\n"
    )
    sys.path.insert(0, str(tmp_path))
    spec = importlib.util.spec_from_file_location("perenne_project_of_test", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        with Engine(database, objects, root=tmp_path) as engine:
            assert engine.run(module.fit, 4).result() == 41
    finally:
        sys.path.remove(str(tmp_path))
        del sys.modules[spec.name], sys.modules["beside_project"]


def test_an_input_lost_while_it_is_needed_is_made_again(engine: Engine, objects: ObjectStore, tmp_path: Path) -> None:
    @pipeline
    def two(x: int) -> float:
        return norm(vector(x))

    first = engine.run(two, 4_000)
    assert isinstance(objects, FileObjects)
    (digest,) = objects.digests()
    path = objects.root / digest[:2] / digest[2:]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    engine.database.write(
        lambda tx: tx.connection.exec_driver_sql("update step set state = 'failed', run = '' where name = 'norm'"), durable=False
    )
    again = engine.run(two, 4_000)
    assert again.output == first.output == pytest.approx(math.sqrt(4_000))
    assert {record.name: record.hit for record in again.steps} == {"vector": False, "norm": False}
