"""An image put together: layers, configuration and manifest for each platform, an index over them, and what refers to it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from perenne.delivery.images import application, bases, facts, libraries
from perenne.delivery.images.bases import Base
from perenne.delivery.images.layering import from_bytes, from_folder, write_layer
from perenne.delivery.images.layout import Hear, Layout
from perenne.delivery.images.libraries import Place
from perenne.delivery.images.model import Component, Layer, LayerRole
from perenne.formats import oci

PORT = 8080
USER = "65532:65532"
LIBRARIES, APPLICATION, MODEL = "opt/perenne/libraries", "opt/perenne/application", "model"
_SECOND_NS = 1_000_000_000


class Wish(NamedTuple):
    """What is to be packaged.

    Attributes
    ----------
    name, version, tree : str
        The deployment's name, `name@number`, and the digest of the version's files.
    release : Path
        The release folder.
    package : Path
        The package of the champion in it.
    created : int
        When the version was made, in microseconds: an image of it is as old.
    commit : str
        What its run was made from; empty if that is not known.
    """

    name: str
    version: str
    tree: str
    release: Path
    package: Path
    created: int
    commit: str = ""


class Built(NamedTuple):
    """An image in the layout.

    Attributes
    ----------
    found : Descriptor
        Of its manifest, or of the index if it is for several platforms.
    manifests : tuple of Descriptor
        One for each platform.
    layers : tuple of tuple of Layer
        For each platform, lowest first.
    components : tuple of Component
        What others made of what is in the first platform's.
    base, base_digest : str
        Of the first platform's runtime.
    """

    found: oci.Descriptor
    manifests: tuple[oci.Descriptor, ...]
    layers: tuple[tuple[Layer, ...], ...]
    components: tuple[Component, ...]
    base: str
    base_digest: str

    @property
    def size(self) -> int:
        """Bytes of the first platform's layers, as they travel."""
        return sum(layer.size for layer in self.layers[0])


class _Made(NamedTuple):
    found: oci.Descriptor
    layers: tuple[Layer, ...]
    components: tuple[Component, ...]


Places = Callable[[Base], Place]
"""Says where the libraries for a runtime are taken from."""


def build(layout: Layout, wish: Wish, runtimes: Sequence[Base], places: Places, hear: Hear, *, compressed: bool = True) -> Built:
    """Write an image into a layout; the same for the same input, whenever and by whomever it is made.

    Parameters
    ----------
    layout : Layout
        Where to; layers that are there already are not written again.
    runtimes : sequence of Base
        One for each platform.
    places : callable
        Where the libraries for each are.
    compressed : bool
        Whether our layers travel as gzip.

    Raises
    ------
    PerenneError
        As `bases` and `libraries` say.
    """
    hear("packing the model")
    shared = {
        LayerRole.APPLICATION: write_layer(
            layout, LayerRole.APPLICATION, application.contents(APPLICATION), compressed=compressed
        ),
        LayerRole.MODEL: write_layer(layout, LayerRole.MODEL, from_folder(wish.release, MODEL), compressed=compressed),
    }
    made = [_for_platform(layout, wish, base, places(base), shared, hear, compressed) for base in runtimes]
    found = made[0].found
    if len(made) > 1:
        index = oci.write(oci.Index(schema_version=2, media_type=oci.INDEX, manifests=tuple(one.found for one in made)))
        found = oci.describe(oci.INDEX, index)
        layout.put(index)
    return Built(
        found,
        tuple(one.found for one in made),
        tuple(one.layers for one in made),
        made[0].components,
        runtimes[0].name,
        runtimes[0].digest,
    )


def _for_platform(
    layout: Layout, wish: Wish, base: Base, place: Place, shared: dict[LayerRole, Layer], hear: Hear, compressed: bool
) -> _Made:
    bases.require_python(base, place.python)
    signed = signature_file(wish).is_file()
    chosen = libraries.of_package(wish.package, place, signed=signed)
    hear(f"packing {len(chosen)} libraries for {base.platform}")
    mine = tuple(libraries.component(one) for one in chosen)
    listed = from_bytes(facts.LIBRARIES_PATH, facts.to_bytes(facts.libraries_bill(mine)))
    files = [*libraries.contents(chosen, LIBRARIES), listed]
    own = (
        write_layer(layout, LayerRole.DEPENDENCIES, files, compressed=compressed),
        shared[LayerRole.APPLICATION],
        shared[LayerRole.MODEL],
    )
    components, layers = (*base.components, *mine), (*base.layers, *own)
    labels = facts.labels(
        name=wish.name, version=wish.version, tree=wish.tree, created=wish.created, commit=wish.commit,
        signature=_signature(wish), base=_public_name(base), base_digest=base.digest, layers=own,
    )  # fmt: skip
    config = oci.write(_config(wish, base, layers, labels))
    layout.put(config)
    manifest = oci.write(_manifest(config, layers, labels))
    found = oci.describe(oci.MANIFEST, manifest, platform=base.platform)
    layout.put(manifest)
    _refer(layout, found, facts.to_bytes(facts.bill(wish.name, wish.version, wish.tree, components)))
    return _Made(found, layers, components)


def _public_name(base: Base) -> str:
    """Return how a base is called in a label: a path of this machine says nothing to others, and would change the digest."""
    return base.name if base.name == bases.HOST or not Path(base.name).exists() else ""


def signature_file(wish: Wish) -> Path:
    """Return where the signature over the package lies in a release, if it has one."""
    return wish.release / "signatures" / f"{wish.tree}.json"


def _signature(wish: Wish) -> str:
    """Return the digest of the signature over the package; empty if it has none."""
    path = signature_file(wish)
    return oci.digest_of(path.read_bytes()) if path.is_file() else ""


def _config(wish: Wish, base: Base, layers: tuple[Layer, ...], labels: dict[str, str]) -> oci.Config:
    created = facts.timestamp(wish.created)
    return oci.Config(
        created=created,
        architecture=base.platform.architecture,
        os=base.platform.os,
        variant=base.platform.variant,
        config=oci.Process(
            user=USER,
            exposed_ports={f"{PORT}/tcp": {}},
            env=environment(base.environment),
            entrypoint=(base.program, "-P", "-m", "perenne.app.container"),
            working_dir="/tmp",  # noqa: S108
            labels=labels,
            stop_signal="SIGTERM",
            healthcheck=oci.HealthCheck(
                test=("CMD", base.program, "-P", "-m", "perenne.app.container", "health"),
                interval=30 * _SECOND_NS, timeout=5 * _SECOND_NS, start_period=20 * _SECOND_NS, retries=3,
            ),
        ),
        rootfs=oci.RootFiles("layers", tuple(layer.diff_id for layer in layers)),
        history=tuple(oci.Step(created=created, created_by="perenne package", comment=layer.role.value) for layer in layers),
    )  # fmt: skip


def environment(given: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what is set in a container, unless it is run otherwise: what the base sets, and what the server needs."""
    own = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": f"/{APPLICATION}:/{LIBRARIES}",
        "PYTHONPYCACHEPREFIX": "/tmp/perenne/bytecode",  # noqa: S108
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "HOME": "/tmp",  # noqa: S108
        "OMP_NUM_THREADS": "1",
        "PERENNE_HOME": "/tmp/perenne",  # noqa: S108
        "PERENNE_RELEASE": f"/{MODEL}",
        "PERENNE_SERVE_PORT": str(PORT),
    }
    before = dict(text.split("=", 1) for text in given if "=" in text)
    if "PATH" in before:
        own["PATH"] = before["PATH"]
    return tuple(f"{key}={value}" for key, value in {**before, **own}.items())


def _manifest(config: bytes, layers: tuple[Layer, ...], labels: dict[str, str]) -> oci.Manifest:
    kept = {key: value for key, value in labels.items() if key.startswith("org.opencontainers.")}
    return oci.Manifest(
        schema_version=2,
        media_type=oci.MANIFEST,
        config=oci.describe(oci.CONFIG, config),
        layers=tuple(oci.Descriptor(media_type=layer.media_type, digest=layer.digest, size=layer.size) for layer in layers),
        annotations=kept,
    )


def _refer(layout: Layout, found: oci.Descriptor, bill: bytes) -> None:
    """Attach the bill of materials to an image, as something that refers to it."""
    document = oci.artifact(oci.BOM, found, bill, oci.BOM, {"org.opencontainers.image.title": "bom.cdx.json"})
    data = oci.write(document)
    for blob in (bill, oci.EMPTY_BYTES, data):
        layout.put(blob)
    layout.refer(oci.describe(oci.MANIFEST, data, artifact_type=oci.BOM))
