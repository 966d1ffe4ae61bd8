"""A runtime made of the Python that runs this: interpreter, standard library and the shared libraries they name; nothing else.

No shell, no package manager, no other program: there is less to attack and to keep up to date. It is as old as this machine's
libraries are; `perenne package --outdated` tells.
"""

import hashlib
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from perenne.core.errors import Unavailable
from perenne.delivery.images.layering import Content, from_bytes, from_file, link
from perenne.delivery.images.model import Component
from perenne.formats.layers import Entry

USER = 65_532
PYTHON = "usr/local/bin/python3"
_LEFT_OUT = frozenset(
    (
        *("test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "pydoc_data"),
        *("site-packages", "dist-packages", "__pycache__"),
    )
)
_NOT_SERVED = re.compile(r"(_tkinter|_curses|_dbm|_gdbm|readline|_test|xxlimited|_ctypes_test|nis|_crypt)")
_COMMON = (
    *("libstdc++.so.6", "libgcc_s.so.1", "libgomp.so.1", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0"),
    *("libutil.so.1", "libz.so.1", "libresolv.so.2", "libnss_dns.so.2", "libnss_files.so.2"),
)
"""What wheels for Linux may ask of the system (PEP 600), as far as this one has it."""

_FOUND = re.compile(r"^\s*(?:(\S+) => )?(/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)
_CACHED = re.compile(r"^\s*(\S+) \(libc6[^)]*\) => (/\S+)$", re.MULTILINE)
_OWNED = re.compile(r"^([^:\s]+)(?::\S+)?: (/\S+)$", re.MULTILINE)
_CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


class Runtime(NamedTuple):
    """The files of a runtime, and what the bill of materials says of it."""

    contents: list[Content]
    components: list[Component]


def runtime() -> Runtime:
    """Return the runtime that is made of this machine's Python.

    Raises
    ------
    Unavailable
        If this is not a Linux whose programs are linked in the usual way.
    """
    if not sys.platform.startswith("linux") or shutil.which("ldd") is None:
        raise Unavailable(
            "a runtime can be made of this machine's Python only on Linux with `ldd`",
            code="image.host",
            hint="name another one: --base FOLDER, a root tar, an OCI layout or archive, or an image in a registry",
        )
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    program = Path(sys.executable).resolve()
    modules = list(_standard_library(Path(sysconfig.get_path("stdlib")), f"usr/local/lib/{name}"))
    shared = _shared([program, *(item.source for item in modules if item.source and item.source.suffix == ".so")])
    python = [from_file(f"usr/local/bin/{name}", program), link(PYTHON, name), *modules]
    found = {content.entry.path: content for content in (*python, *shared, *_system())}
    return Runtime(list(found.values()), _components([item.source for item in shared if item.source is not None]))


def _components(files: list[Path]) -> list[Component]:
    """Say of each shared library which package it is of, or its digest if it is of none."""
    packages = _packages_of(files)
    debian = {Component(name, version, "deb") for name, version in packages.values()}
    others = [
        Component(path.name, "", "generic", digest=hashlib.sha256(path.read_bytes()).hexdigest())
        for path in files
        if path not in packages and not path.name.startswith("libpython")
    ]
    python = Component("python", ".".join(map(str, sys.version_info[:3])), "generic", "PSF-2.0")
    return [python, *sorted(debian, key=lambda one: one.name), *others]


def _standard_library(library: Path, below: str) -> Iterable[Content]:
    for path in sorted(library.rglob("*")):
        relative = path.relative_to(library)
        if _LEFT_OUT & set(relative.parts) or path.is_dir() or relative.parts[0].startswith("config-"):
            continue
        if path.suffix in (".pyc", ".a", ".o") or (path.suffix == ".so" and _NOT_SERVED.match(path.name)):
            continue
        yield from_file(f"{below}/{relative.as_posix()}", path)


def _shared(programs: Iterable[Path | None]) -> list[Content]:
    """Return the shared libraries that programs name, each where the loader of the image looks for it."""
    given = [str(path) for path in programs if path is not None]
    given += [path for name, path in _cached().items() if name in _COMMON]
    listed = subprocess.run(["ldd", *given], capture_output=True, text=True, check=False).stdout
    paths = {path for _, path in _FOUND.findall(listed)} | {path for name, path in _cached().items() if name in _COMMON}
    folder = next((str(Path(path).parent) for path in paths if "/libc.so" in path), "/usr/lib").lstrip("/")
    found = []
    for path in sorted(paths):
        if Path(path).name.startswith("ld-"):
            found.append(from_file(path.lstrip("/"), Path(path)))
        else:
            found.append(from_file(f"{folder}/{Path(path).name}", Path(path).resolve()))
    return found


def _cached() -> dict[str, str]:
    """Return where the loader of this machine finds libraries, by name."""
    program = shutil.which("ldconfig") or "/sbin/ldconfig"
    try:
        listed = subprocess.run([program, "-p"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return {}
    return dict(reversed(_CACHED.findall(listed)))


def _packages_of(files: Iterable[Path]) -> dict[Path, tuple[str, str]]:
    """Return the Debian package of each file, and its version; nothing where there is no dpkg."""
    program = shutil.which("dpkg-query")
    if program is None:
        return {}
    spellings = {spelling: path for path in files for spelling in (str(path), str(path).removeprefix("/usr"))}
    listed = subprocess.run([program, "-S", *spellings], capture_output=True, text=True, check=False).stdout
    owners = {spellings[path]: owner for owner, path in _OWNED.findall(listed) if path in spellings}
    asked = [program, "-W", "-f", "${Package} ${Version}\n", *sorted(set(owners.values()))]
    told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout if owners else ""
    versions = dict(line.split(" ", 1) for line in told.splitlines())
    return {path: (owner, versions[owner]) for path, owner in owners.items() if owner in versions}


def _system() -> list[Content]:
    """Return the few files that a C library reads: who there is, how names are resolved, whom to trust."""
    files = {
        "etc/passwd": f"root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:{USER}:{USER}:nonroot:/tmp:/sbin/nologin\n",
        "etc/group": f"root:x:0:\nnonroot:x:{USER}:\n",
        "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    }
    found = [from_bytes(path, text.encode()) for path, text in files.items()]
    found += [
        Content(Entry("tmp", folder=True, shared=True)),
        Content(Entry("proc", folder=True)),
        Content(Entry("sys", folder=True)),
    ]
    found += [Content(Entry("dev", folder=True)), Content(Entry("run", folder=True))]
    certificates = next((Path(path) for path in _CERTIFICATES if Path(path).is_file()), None)
    return found if certificates is None else [*found, from_file("etc/ssl/certs/ca-certificates.crt", certificates)]
