"""What a move brought, and how it compares with its source."""

import msgspec

MOST_PROBLEMS = 1_000


class Counts(msgspec.Struct):
    """How many there were at the source, how many came now, and how many were there already."""

    found: int = 0
    brought: int = 0
    there: int = 0


class Problem(msgspec.Struct, frozen=True):
    """Something that did not come: what, which, and why."""

    kind: str
    id: str
    reason: str


class Report(msgspec.Struct, kw_only=True):
    """All of a move; `points` and `files` are those of runs that came now, `bytes` the size of the files."""

    experiments: Counts = msgspec.field(default_factory=Counts)
    runs: Counts = msgspec.field(default_factory=Counts)
    points: Counts = msgspec.field(default_factory=Counts)
    files: Counts = msgspec.field(default_factory=Counts)
    logged_models: Counts = msgspec.field(default_factory=Counts)
    registered_models: Counts = msgspec.field(default_factory=Counts)
    versions: Counts = msgspec.field(default_factory=Counts)
    traces: Counts = msgspec.field(default_factory=Counts)
    bytes: int = 0
    problems: list[Problem] = msgspec.field(default_factory=list)

    def add_problem(self, kind: str, identity: str, reason: str) -> None:
        """Note something that did not come."""
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(Problem(kind, identity, reason))

    @property
    def is_whole(self) -> bool:
        """Whether all that was found is there now."""
        return not self.problems and all(one.found == one.brought + one.there for one in self.by_kind.values())

    @property
    def by_kind(self) -> dict[str, Counts]:
        """The counts, by what they count."""
        return {name: value for name in self.__struct_fields__ if isinstance(value := getattr(self, name), Counts)}
