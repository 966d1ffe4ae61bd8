"""Which objects a remote has: by listing where many are asked for, one by one where few are."""

from collections.abc import Callable, Iterable

from perenne.data.versions.cache import is_name
from perenne.data.versions.remotes.port import Remote
from perenne.data.versions.remotes.workers import Crew

FEW = 16
"""So many are asked for one by one, whatever the remote holds."""

SHARE = 1_000
"""A listing of a remote pays if one in so many of its objects is wanted: that is how many a page of it names."""

OBJECTS, LEGACY = "files/md5", ""
"""Where objects lie below a remote's top; 2.x put them at the top itself."""

Hear = Callable[[int, int], None]


def path_of(digest: str, place: str = OBJECTS) -> str:
    """Return where an object lies in a remote.

    >>> path_of("d751713988987e9331980363e24189ce.dir")
    'files/md5/d7/51713988987e9331980363e24189ce.dir'
    """
    path = f"{digest[:2]}/{digest[2:]}"
    return f"{place}/{path}" if place else path


def present(
    remote: Remote, digests: Iterable[str], place: str = OBJECTS, *, jobs: int = 16, hear: Hear | None = None
) -> set[str]:
    """Return those of the digests whose objects the remote has.

    Parameters
    ----------
    remote : Remote
        Who is asked.
    digests : iterable of str
        What is wanted.
    place : str
        Where objects lie.
    jobs : int
        Questions at once.
    hear : callable, optional
        Told how many questions of how many are answered.
    """
    wanted = set(digests)
    found: set[str] = set()
    if not wanted:
        return found
    folders: dict[str, list[str]] = {}
    for digest in wanted:
        folders.setdefault(digest[:2], []).append(digest)
    if remote.traits.lists and len(wanted) > FEW:
        first = min(folders)
        listed = _listing(remote, first, place)
        if len(wanted) * SHARE >= len(listed) * 256:
            found.update(listed.intersection(folders.pop(first)))
            _list(remote, folders, place, jobs, found, hear)
            return found
    _ask(remote, wanted, place, jobs, found, hear)
    return found


def listed(remote: Remote, place: str = OBJECTS, *, jobs: int = 16, hear: Hear | None = None) -> set[str]:
    """Return the digests of all objects of a remote."""
    found: set[str] = set()
    done: list[str] = []
    folders = [f"{number:02x}" for number in range(256)]

    def look(folder: str) -> None:
        found.update(_listing(remote, folder, place))
        done.append(folder)
        if hear is not None:
            hear(len(done), len(folders))

    Crew(jobs, look).run(folders)
    return found


def _listing(remote: Remote, folder: str, place: str) -> set[str]:
    prefix = f"{place}/{folder}" if place else folder
    start = len(prefix) + 1
    names = (folder + file.path[start:] for file in remote.listing(prefix))
    return {name for name in names if is_name(name)}


def _list(remote: Remote, folders: dict[str, list[str]], place: str, jobs: int, found: set[str], hear: Hear | None) -> None:
    total, done = len(folders) + 1, [""]

    def look(folder: str) -> None:
        here = _listing(remote, folder, place).intersection(folders[folder])
        found.update(here)
        done.append(folder)
        if hear is not None:
            hear(len(done), total)

    Crew(jobs, look).run(folders)


def _ask(remote: Remote, wanted: set[str], place: str, jobs: int, found: set[str], hear: Hear | None) -> None:
    done: list[str] = []

    def ask(digest: str) -> None:
        if remote.about(path_of(digest, place)) is not None:
            found.add(digest)
        done.append(digest)
        if hear is not None:
            hear(len(done), len(wanted))

    Crew(jobs, ask).run(wanted)
