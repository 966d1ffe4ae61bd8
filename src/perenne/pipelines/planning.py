"""From a graph to tasks with plan keys: what a run looks up before anything runs, and the keys it makes as results come in."""

from collections.abc import Callable, Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Any

from perenne.core.errors import NotFound, Unavailable
from perenne.core.hashing import key_of
from perenne.pipelines.artifacts import Artifacts, Output
from perenne.pipelines.code import CodeReader
from perenne.pipelines.errors import NotEncodable
from perenne.pipelines.graph import Graph, Node, Reference, fill, node_of, path_of, references, select
from perenne.pipelines.keys import StepKey, argument_digest, canonical
from perenne.pipelines.model import Argument, StepRecord
from perenne.pipelines.steps import Step
from perenne.pipelines.store import Claim, Edge


class TaskState(Enum):
    """How a task stands within its run."""

    WAITING = auto()
    READY = auto()
    RUNNING = auto()
    ELSEWHERE = auto()
    DONE = auto()
    FAILED = auto()
    SKIPPED = auto()


class Task:
    """A node in the course of one run.

    Attributes
    ----------
    missing : int
        How many of its inputs are not there yet.
    takers : list of Task
        Those that take its result.
    children : list of Task or None
        For a map: the tasks of its items, once they are known.
    """

    __slots__ = (
        "attempt",
        "children",
        "code",
        "cpu",
        "dead",
        "digests",
        "due",
        "error",
        "failure",
        "hit",
        "key",
        "label",
        "lazy",
        "losses",
        "missing",
        "node",
        "ordinal",
        "output",
        "repairs",
        "seconds",
        "sources",
        "state",
        "step",
        "takers",
        "tries",
        "unread",
    )

    def __init__(self, node: Node, label: str, ordinal: int) -> None:
        self.node = node
        self.step: Step[..., Any] = node.step
        self.label = label
        self.ordinal = ordinal
        self.key = ""
        self.code = ""
        self.digests: dict[str, str] = {}
        self.lazy: dict[str, list[Reference]] = {}
        self.sources: list[Task] = []
        self.takers: list[Task] = []
        self.missing = 0
        self.unread = 0
        self.state = TaskState.WAITING
        self.output: Output | None = None
        self.children: list[Task] | None = None
        self.hit = False
        self.seconds = 0.0
        self.cpu = 0.0
        self.attempt = 0
        self.tries = 0
        self.repairs = 0
        self.losses = 0
        self.due = 0.0
        self.dead = ""
        self.error = ""
        self.failure: BaseException | None = None

    @property
    def settled(self) -> bool:
        """Whether nothing more happens to it in this run."""
        return self.state in (TaskState.DONE, TaskState.FAILED, TaskState.SKIPPED)

    def record(self) -> StepRecord:
        """Return what became of it."""
        return StepRecord(self.label, self.key, self.hit, self.seconds, self.attempt, self.error, self.cpu)


class Damaged(Exception):
    """A kept result that is needed turned out to be missing or damaged."""

    def __init__(self, task: Task) -> None:
        super().__init__(task.label)
        self.task = task


class Plan:
    """The tasks of one run. Calls with the same plan key are one task.

    Parameters
    ----------
    run : str
        The run's id; part of the keys of steps that must run each time.
    """

    def __init__(self, graph: Graph, run: str, code: CodeReader, artifacts: Artifacts) -> None:
        self.run = run
        self.graph = graph
        self.tasks: list[Task] = []
        self.codes: dict[str, dict[str, str]] = {}
        self.notes: list[str] = []
        self._code = code
        self._artifacts = artifacts
        self._by_key: dict[str, Task] = {}
        self._by_node: dict[int, Task] = {}
        self._step_keys: dict[int, tuple[StepKey, str]] = {}
        for node in graph.nodes:
            self._by_node[id(node)] = self._task(node, node.label)

    def task_of(self, key: str) -> Task | None:
        """Return the task with a plan key."""
        return self._by_key.get(key)

    def task(self, reference: Reference) -> Task:
        """Return the task whose result a reference stands for."""
        return self._by_node[id(node_of(reference))]

    def expand(self, parent: Task, items: list[Any]) -> list[Task]:
        """Return the tasks of a map's items; the map waits for those that have no result yet."""
        over = parent.node.over or ""
        nodes = [Node(parent.step, {**parent.node.arguments, over: item}, parent.ordinal) for item in items]
        known = {name: digest for name, digest in parent.digests.items() if name != over}
        children = [self._task(node, f"{parent.label}[{place}]", known) for place, node in enumerate(nodes)]
        for child in dict.fromkeys(children):
            if parent not in child.takers:
                child.takers.append(parent)
            parent.missing += not child.settled
        return children

    def claim(self, task: Task) -> Claim:
        """Return the claim of a task whose inputs are there: its content key and what its arguments are."""
        arguments = {name: Argument(digest) for name, digest in task.digests.items()}
        for name in task.lazy:
            sources = tuple(dict.fromkeys(self.task(reference).key for reference in task.lazy[name]))
            arguments[name] = Argument(self._content_digest(task, name), sources)
        step_key = self._step_key(task.step)[0]
        return Claim(
            key=task.key,
            content_key=step_key.call({name: argument.digest for name, argument in arguments.items()}, task.node.over),
            name=task.step.name,
            code=task.code,
            environment=task.step.options.environment,
            arguments=arguments,
            retries=task.step.options.retries,
            reuse=bool(task.lazy) and task.step.options.cache and task.repairs == 0,
            dead=task.dead,
        )

    def edges(self, task: Task) -> list[Edge]:
        """Return whose results a task takes."""
        sources = {name: dict.fromkeys(self.task(reference).key for reference in found) for name, found in task.lazy.items()}
        return [Edge(task.key, name, place, key) for name, keys in sources.items() for place, key in enumerate(keys)]

    def arguments(self, task: Task) -> dict[str, Any]:
        """Return the arguments of a task with every reference replaced by its value."""
        return {name: fill(value, self.value) if name in task.lazy else value for name, value in task.node.arguments.items()}

    def value(self, reference: Reference) -> Any:
        """Return the value a reference stands for."""
        return select(reference, self.load(self.task(reference)))

    def read(self, label: str) -> Any:
        """Return the result of the step of a name; None if it has none."""
        task = next((task for task in self.tasks if task.label == label and task.output is not None), None)
        return None if task is None else self.load(task)

    def load(self, task: Task) -> Any:
        """Return a task's result."""
        assert task.output is not None
        try:
            if task.node.over is None:
                return self._artifacts.load(task.output, task.step.returns)
            return [self._artifacts.load(item, task.step.returns) for item in self._artifacts.load(task.output, list[Output])]
        except (NotFound, Unavailable) as error:
            raise Damaged(task) from error

    def _task(self, node: Node, label: str, known: Mapping[str, str] = MappingProxyType({})) -> Task:
        """Make the task of a node; `known` holds digests of arguments that need not be made again."""
        task = Task(node, label, len(self.tasks))
        step_key, task.code = self._step_key(node.step)
        for name, value in node.arguments.items():
            if found := list(references(value)):
                task.lazy[name] = found
            task.digests[name] = known[name] if name in known else self._plan_digest(task, name)
        task.key = step_key.call(task.digests, node.over)
        if not node.step.options.cache:
            task.key = key_of(task.key, self.run, task.ordinal)
        same = self._by_key.setdefault(task.key, task)
        if same is task:
            self._connect(task)
            self.tasks.append(task)
        return same

    def _connect(self, task: Task) -> None:
        sources = {id(source): source for found in task.lazy.values() for source in map(self.task, found)}
        task.sources = list(sources.values())
        for source in task.sources:
            source.takers.append(task)
            task.missing += not source.settled
            source.unread += 1

    def _plan_digest(self, task: Task, name: str) -> str:
        """Name an argument by what it is made from."""
        value = task.node.arguments[name]
        if type(value) is Reference and not path_of(value):
            return f"plan:{self.task(value).key}"
        return self._digest(task, name, lambda reference: ("plan", self.task(reference).key, path_of(reference)))

    def _content_digest(self, task: Task, name: str) -> str:
        """Name an argument by what came out."""
        value = task.node.arguments[name]
        if type(value) is Reference and not path_of(value):
            return f"content:{self._output_digest(value)}"
        return self._digest(task, name, lambda reference: ("content", self._output_digest(reference)))

    def _digest(self, task: Task, name: str, form: Callable[[Reference], object]) -> str:
        def checked(reference: Reference) -> object:
            if not any(reference is found for found in task.lazy.get(name, ())):
                raise NotEncodable(
                    f"{reference!r} stands inside an object",
                    code="pipelines.lazy",
                    hint="pass what a step returns as an argument of its own, or in a list, tuple or dictionary",
                )
            return form(reference)

        return argument_digest(task.step.name, name, task.node.arguments[name], self._code.special, checked)

    def _output_digest(self, reference: Reference) -> str:
        """Name the content of a result, or of the part of it that is taken."""
        output = self.task(reference).output
        assert output is not None
        return key_of(canonical(self.value(reference), self._code.special)) if path_of(reference) else output.digest

    def _step_key(self, step: Step[..., Any]) -> tuple[StepKey, str]:
        known = self._step_keys.get(id(step))
        if known is None:
            identity = self._code.identity(step.function)
            self.codes[identity.hash] = identity.parts
            self.notes.extend(note for note in identity.notes if note not in self.notes)
            known = self._step_keys[id(step)] = (StepKey(step.name, identity.hash, step.options.environment), identity.hash)
        return known
