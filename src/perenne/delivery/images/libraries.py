"""The libraries that serving one model imports, and no others: found by what they require, taken from where they are installed.

What is taken does not depend on who installed it: not the installer's notes, no bytecode, no scripts; and of each library
neither tests nor headers, which no server reads.
"""

import platform
import re
import sys
import zipfile
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from perenne.core import json
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.delivery.images.layering import Content, from_file
from perenne.delivery.images.model import Component
from perenne.storage.files import temporary_file

SERVER = ("httptools", "msgspec", "numpy", "pyarrow", "uvicorn", "uvloop")
"""What every model server imports; Arrow only its observer, for the row log."""

FOR_SIGNATURES = ("cryptography", "pyopenssl")
"""What the parent of the processes verifies a signature with, before a package is loaded."""

BY_FORM = {
    "linear": (),
    "onnx": ("onnxruntime",),
    "xgboost": ("xgboost",),
    "lightgbm": ("lightgbm",),
    "sklearn": ("scikit-learn", "skops"),
}
"""What a form of a model is answered with, beside it."""

WHERE_THERE = {"sklearn": ("pandas",)}
"""What a form is answered with only by some models: those that were fitted on tables with names. Taken where it is installed."""

OTHER_NAMES = {"xgboost": ("xgboost-cpu",), "onnxruntime": ("onnxruntime-gpu",)}
"""Distributions that hold the same package under another name."""

NOT_IMPORTED = {"onnxruntime": ("flatbuffers", "packaging", "protobuf")}
"""What a library requires for what a server does not do: building and quantising models."""

_UNUSED = (
    "*/tests/*", "*/test/*", "*/include/*", "*/__pycache__/*", "*.pyc", "*.pyi", "*.pyx", "*.pxd", "*.pxi", "*.h", "*.hpp", "*.c",
    "*.cpp", "*.a", "*.cmake", "*.dist-info/RECORD", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED",
    "*.dist-info/direct_url.json", "*.dist-info/uv_cache.json", "../*", "bin/*", "pyarrow/*flight*", "pyarrow/*gandiva*",
    "onnxruntime/tools/*",
    "onnxruntime/quantization/*", "onnxruntime/transformers/*",
)  # fmt: skip
_KEPT = ("numpy/_core/tests/_natype.py",)  # imported by numpy.testing, which some libraries import


class Place(NamedTuple):
    """Where libraries are taken from: folders of an environment in the order of its path, or a folder of wheels.

    Attributes
    ----------
    folders : tuple of Path
        As on `sys.path`; the first that has a library wins.
    python : str
        Its version, such as `3.11`.
    machine : str
        As an image names it: `amd64`, `arm64`.
    """

    folders: tuple[Path, ...]
    python: str
    machine: str


_MACHINES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def here() -> Place:
    """Return the environment that this process runs in."""
    folders = tuple(Path(entry) for entry in sys.path if entry and Path(entry).is_dir())
    return Place(folders, f"{sys.version_info.major}.{sys.version_info.minor}", machine())


def machine() -> str:
    """Return what this machine is called by images."""
    return _MACHINES.get(platform.machine(), platform.machine())


def roots(forms: Iterable[str], *, signed: bool = False) -> list[str]:
    """Return the libraries that forms of a model are answered with, and a signature over it is verified with.

    Raises
    ------
    Invalid
        If a form has none that could be in an image.
    """
    found = [*SERVER, *(FOR_SIGNATURES if signed else ())]
    for form in forms:
        if form not in BY_FORM:
            raise Invalid(
                f"a model in the form {form!r} is not packaged into an image",
                code="image.form",
                hint="it needs an environment of its own: serve it with `perenne serve`",
            )
        found += BY_FORM[form]
    return sorted(set(found))


def of_package(package: Path, place: Place, *, signed: bool) -> list[Distribution]:
    """Return the libraries that the server of a package needs; raises as `roots` and `closure`."""
    forms = forms_of(package)
    also = [name for form in forms for name in WHERE_THERE.get(form, ())]
    return closure(roots(forms, signed=signed), place, also=also)


def closure(names: Iterable[str], place: Place, *, also: Iterable[str] = ()) -> list[Distribution]:
    """Return some libraries with all that they require, sorted by name.

    Parameters
    ----------
    also : iterable of str
        Libraries that are taken if they are there.

    Raises
    ------
    NotFound
        If one is not installed.
    Conflict
        If one is there in a version that another does not go with.
    """
    known = {
        canonicalize_name(one.name): one for one in reversed(list(distributions(path=[str(path) for path in place.folders])))
    }
    found: dict[str, Distribution] = {}
    wanted = [Requirement(name) for name in (*names, *(name for name in also if name in known))]
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        one = next((known[other] for other in (name, *OTHER_NAMES.get(name, ())) if other in known), None)
        if one is None:
            raise NotFound(
                f"{name} is not installed, and this model is answered with it",
                code="image.library",
                hint=f"`pip install {name}`, or name a folder of wheels with --wheels",
            )
        if not requirement.specifier.contains(Version(one.version), prereleases=True):
            raise Conflict(
                f"{name} {one.version} does not meet {requirement}", code="image.library_version", hint="upgrade them together"
            )
        if name not in found:
            found[name] = one
            wanted += _required(name, one)
    return [found[name] for name in sorted(found)]


def _required(name: str, one: Distribution) -> list[Requirement]:
    left_out = NOT_IMPORTED.get(name, ())
    found = []
    for text in one.requires or ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and canonicalize_name(requirement.name) not in left_out:
            found.append(requirement)
    return found


def contents(libraries: Iterable[Distribution], below: str) -> list[Content]:
    """Return the files of libraries as a layer holds them.

    Raises
    ------
    Invalid
        If a library does not say which files it has.
    """
    found = []
    for one in libraries:
        files = one.files
        if not files:
            raise Invalid(
                f"{one.name} does not say which files it has", code="image.record", hint="install it from a wheel, not in place"
            )
        for file in files:
            path = file.as_posix()
            if not is_unused(path):
                source = Path(str(one.locate_file(file)))
                found.append(from_file(f"{below}/{path}", source))
    return found


def is_unused(path: str) -> bool:
    """Tell whether a file of a library is nothing that a server reads.

    >>> is_unused("numpy/_core/tests/test_api.py"), is_unused("numpy/_core/numeric.py"), is_unused("../../bin/uvicorn")
    (True, False, True)
    """
    return path not in _KEPT and any(fnmatchcase(path, pattern) for pattern in _UNUSED)


def component(one: Distribution) -> Component:
    """Return what the bill of materials says of a library."""
    stated = one.metadata.get_all("License-Expression") or ()
    licence = "".join(stated) or _classified(one.metadata.get_all("Classifier") or ())
    return Component(canonicalize_name(one.name), one.version, "pypi", licence)


def _classified(classifiers: Sequence[str]) -> str:
    found = [text.rpartition(" :: ")[2] for text in classifiers if text.startswith("License :: OSI Approved :: ")]
    return " AND ".join(sorted(found))


_WHEEL = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)(-\d[^-]*)?-(?P<python>[^-]+)-(?P<abi>[^-]+)-(?P<platform>[^-]+)\.whl")
_TAGGED = {"amd64": "x86_64", "arm64": "aarch64"}


def unpack_wheels(wheels: Path, folder: Path, python: str, machine: str) -> Place:
    """Unpack those wheels of a folder that run on a Python and a machine, as an installer would, and return the place.

    Raises
    ------
    NotFound
        If there is none.
    """
    chosen = [path for path in sorted(wheels.glob("*.whl")) if fits(path.name, python, machine)]
    if not chosen:
        raise NotFound(
            f"{wheels.name} holds no wheel for Python {python} on {machine}",
            code="image.wheels",
            hint=f"pip download --only-binary :all: --python-version {python} --platform manylinux_2_28_… -d FOLDER …",
        )
    for path in chosen:
        _unpack(path, folder)
    return Place((folder,), python, machine)


def fits(wheel: str, python: str, machine: str) -> bool:
    """Tell whether a wheel runs on a Python on Linux.

    >>> fits("numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl", "3.11", "amd64")
    True
    >>> fits("numpy-2.4.6-cp312-cp312-manylinux_2_28_aarch64.whl", "3.11", "arm64")
    False
    """
    match = _WHEEL.fullmatch(wheel)
    if match is None:
        return False
    own = f"cp{python.replace('.', '')}"
    pythons, abi = match["python"].split("."), match["abi"]
    right = "py3" in pythons or own in pythons or (abi == "abi3" and any(_older(tag, own) for tag in pythons))
    platforms = match["platform"].split(".")
    return right and any(
        tag == "any" or (tag.startswith("manylinux") and tag.endswith(_TAGGED.get(machine, machine))) for tag in platforms
    )


def _older(tag: str, own: str) -> bool:
    return tag.startswith("cp3") and own.startswith("cp3") and tag[3:].isdigit() and int(tag[3:]) <= int(own[3:])


def _unpack(wheel: Path, folder: Path) -> None:
    """Unpack a wheel: what it would put beside the packages lands there, scripts and headers nowhere."""
    from perenne.core.paths import confined

    try:
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                name = _placed(info.filename)
                if info.is_dir() or not name:
                    continue
                target = confined(folder, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                with temporary_file(target.parent) as beside:
                    beside.write_bytes(archive.read(info))
                    beside.chmod(0o755 if (info.external_attr >> 16) & 0o100 else 0o644)
                    beside.replace(target)
    except (zipfile.BadZipFile, OSError) as error:
        raise Invalid(
            f"{wheel.name} cannot be unpacked: {type(error).__name__}", code="image.wheel", hint="download it again"
        ) from None


def _placed(name: str) -> str:
    first, _, rest = name.partition("/")
    if not first.endswith(".data"):
        return name
    kind, _, inner = rest.partition("/")
    return inner if kind in ("purelib", "platlib") else ""


def forms_of(package: Path) -> list[str]:
    """Name the forms in which a package can answer.

    Raises
    ------
    Invalid
        If the folder holds no package that a model server reads.
    """
    path = package / "package.json"
    if not path.is_file():
        raise Invalid(
            "the version has no package that a model server reads",
            code="image.package",
            hint="only versions that were packaged can be put into an image: `perenne model show` tells",
        )
    manifest = json.decode(path.read_bytes(), dict, "package.json")
    several = manifest.get("forms") or []
    found = {str(manifest.get("form", ""))} | {str(one.get("form", one) if isinstance(one, dict) else one) for one in several}
    return sorted(found - {""})
