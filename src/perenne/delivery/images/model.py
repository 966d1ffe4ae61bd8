"""What an image is to the registry: layers by what they are for, libraries, and where it came from."""

from enum import StrEnum
from typing import ClassVar

import msgspec

from perenne.core.events import Event


class LayerRole(StrEnum):
    """What a layer is for, lowest first."""

    RUNTIME = "runtime"
    DEPENDENCIES = "dependencies"
    APPLICATION = "application"
    MODEL = "model"


class Layer(msgspec.Struct, frozen=True):
    """One layer of an image.

    Attributes
    ----------
    role : LayerRole
        What it is for.
    digest, size : str, int
        Of the blob, as it travels.
    diff_id, unpacked : str, int
        Of the tar inside: the same on every machine, whatever its zlib.
    media_type : str
        How it travels.
    """

    role: LayerRole
    digest: str
    size: int
    diff_id: str
    unpacked: int
    media_type: str


class Component(msgspec.Struct, frozen=True):
    """Something of somebody else's that an image holds.

    Attributes
    ----------
    name, version : str
        As it calls itself.
    kind : str
        `pypi`, `deb` or `generic`: where versions and vulnerabilities of it are looked up.
    licence : str
        As it states; empty if it does not.
    digest : str
        SHA-256 of the file, for what is a single file.
    """

    name: str
    version: str
    kind: str = "pypi"
    licence: str = ""
    digest: str = ""

    @property
    def purl(self) -> str:
        """The package URL.

        >>> Component("numpy", "2.4.6").purl
        'pkg:pypi/numpy@2.4.6'
        """
        space = "deb/debian" if self.kind == "deb" else self.kind
        return f"pkg:{space}/{self.name}@{self.version}"


class Image(msgspec.Struct, frozen=True):
    """An image of a version.

    Attributes
    ----------
    digest : str
        Of its manifest, or of the index if it is for several platforms.
    version, tree : str
        Of which version, and the digest of that version's files.
    build : int
        The how manieth image of the version it is.
    reference : str
        Where in a registry it lies; empty if it was not pushed.
    platforms : tuple of str
        What it runs on.
    base, base_digest : str
        The runtime it stands on, as it was named, and the digest that it was pinned to.
    layers : tuple of Layer
        Lowest first; those of the first platform.
    components : tuple of Component
        What others made of what is in it.
    size : int
        Bytes of all layers as they travel.
    deployment : str
        The deployment that it was rolled out to, or an empty text.
    created, created_by : int, str
        When and by whom it was made first.
    """

    digest: str
    version: str
    tree: str
    build: int
    reference: str
    platforms: tuple[str, ...]
    base: str
    base_digest: str
    layers: tuple[Layer, ...]
    components: tuple[Component, ...]
    size: int
    deployment: str
    created: int
    created_by: str


class ImageMade(Event, frozen=True):
    """A version has an image that it had not before."""

    name: ClassVar[str] = "image.made"

    version: str
    project: str
    digest: str
    reference: str


class ImageRolledOut(Event, frozen=True):
    """An image is the one that a deployment is to run now."""

    name: ClassVar[str] = "image.rolled_out"

    version: str
    project: str
    digest: str
    deployment: str


class Change(msgspec.Struct, frozen=True):
    """What differs in a component between two images; one side is empty if it is new, or gone."""

    name: str
    kind: str
    before: str
    after: str


def changes(before: tuple[Component, ...], after: tuple[Component, ...]) -> list[Change]:
    """Compare what two images hold, by name.

    >>> changes((Component("a", "1"), Component("b", "1")), (Component("a", "2"),))
    [Change(name='a', kind='pypi', before='1', after='2'), Change(name='b', kind='pypi', before='1', after='')]
    """
    old, new = ({(item.kind, item.name): item for item in items} for items in (before, after))
    found = []
    for key in sorted(old.keys() | new.keys()):
        was, now = old.get(key), new.get(key)
        if (was and (was.version, was.digest)) != (now and (now.version, now.digest)):
            found.append(Change(key[1], key[0], _called(was), _called(now)))
    return found


def _called(item: Component | None) -> str:
    if item is None:
        return ""
    return item.version or item.digest[:19]
