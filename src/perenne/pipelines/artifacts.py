"""How results are kept: MessagePack by the step's return annotation, with arrays, tables and files as parts of their own.

MessagePack and not JSON, because JSON has no NaN and no bytes. Results and parts up to 16 KiB stand in the row, larger ones in
the object store. Nothing is ever pickled.

======= =================================== ==========================
code    value                               bytes
======= =================================== ==========================
1       numpy array without objects         npy
2       numpy array of `str` and None       MessagePack list, flat
3       Arrow table                         IPC stream, lz4
4       `Path` to a file                    the file, and its name
5       `Path` to a folder                  `perenne.storage.trees`
======= =================================== ==========================
"""

import dataclasses
import hashlib
import io
import shutil
import sys
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, get_origin

import msgspec

from perenne.core.errors import NotFound, Unavailable
from perenne.core.hashing import key_of
from perenne.pipelines.errors import NotEncodable
from perenne.pipelines.keys import INLINE
from perenne.pipelines.steps import UNKNOWN
from perenne.storage.objects import ObjectStore
from perenne.storage.trees import fetch_tree, get_tree, put_tree

ARRAY, STRINGS, TABLE, FILE, FOLDER = 1, 2, 3, 4, 5


class Output(msgspec.Struct, frozen=True, array_like=True):
    """A kept result.

    Attributes
    ----------
    digest : str
        Names the content; equal for equal results.
    value : bytes or None
        The encoded result, if it is small.
    object : str or None
        Otherwise the object that holds it.
    parts : tuple of str
        Objects it needs beside that one.
    kind : str
        Name of the result's type, for people.
    """

    digest: str
    value: bytes | None
    object: str | None
    parts: tuple[str, ...] = ()
    kind: str = ""

    @property
    def objects(self) -> Iterable[str]:
        """Every object that must be there."""
        return self.parts if self.object is None else (self.object, *self.parts)


class Part(msgspec.Struct, frozen=True, array_like=True):
    """An array, table or file inside a result: its bytes if they are few, or the object that holds them."""

    data: bytes | None
    object: str | None
    name: str = ""
    shape: tuple[int, ...] = ()


_parts = msgspec.msgpack.Decoder(Part)
_outputs = msgspec.msgpack.Decoder(Output)
_encode = msgspec.msgpack.Encoder().encode


def to_row(output: Output) -> bytes:
    """Write an output for the `out` column."""
    return _encode(output)


def from_row(data: bytes) -> Output:
    """Read the `out` column."""
    return _outputs.decode(data)


class Artifacts:
    """Keeps and reads the results of one run.

    Parameters
    ----------
    objects : ObjectStore
        Where large parts are kept.
    folder : callable
        Makes the folder in which kept files and folders are laid out for steps that take them.
    """

    def __init__(self, objects: ObjectStore, folder: Callable[[], Path]) -> None:
        self.objects = objects
        self._folder = folder
        self._live: dict[str, Any] = {}
        self._decoders: dict[int, tuple[Any, msgspec.msgpack.Decoder[Any]]] = {}

    def keep(self, value: Any, returns: Any) -> Output:
        """Keep a result; its objects are safe when this returns.

        Raises
        ------
        NotEncodable
            If the value, or something in it, is of a type that cannot be kept, or is not what the annotation says.
        """
        if returns is UNKNOWN and (isinstance(value, msgspec.Struct) or dataclasses.is_dataclass(value)):
            raise NotEncodable(
                f"a {type(value).__name__} is returned, but not annotated",
                code="pipelines.annotation",
                hint=f"write `-> {type(value).__name__}`, so that it can be read again",
            )
        if isinstance(value, set | frozenset):
            value = sorted(value)
        parts: dict[str, None] = {}

        def hook(item: Any) -> Any:
            return self._hook(item, parts)

        try:
            data = msgspec.msgpack.encode(value, enc_hook=hook)
        except (TypeError, OverflowError, ValueError) as error:
            raise NotEncodable(
                f"the result cannot be kept: {error}",
                code="pipelines.result",
                hint="return plain values, arrays, tables, Structs, or a path",
            ) from error
        self._decode(data, returns)
        inline = len(data) <= INLINE
        digest = hashlib.blake2b(data, digest_size=16).hexdigest()
        return Output(
            digest, data if inline else None, None if inline else self.objects.put(data), tuple(parts), type(value).__name__
        )

    def keep_list(self, outputs: list[Output]) -> Output:
        """Keep a list of results as one result; read it again as `list[Output]`."""
        data = _encode(outputs)
        parts = tuple(dict.fromkeys(digest for output in outputs for digest in output.objects))
        inline = len(data) <= INLINE
        digest = key_of("list", [output.digest for output in outputs])
        return Output(digest, data if inline else None, None if inline else self.objects.put(data), parts, "list")

    def load(self, output: Output, returns: Any) -> Any:
        """Read a result; every object is checked against its digest as it is read.

        Raises
        ------
        NotFound, Unavailable
            If an object is missing or damaged.
        NotEncodable
            If the result does not fit the annotation.
        """
        return self._decode(output.value if output.value is not None else self.objects.get(output.object or ""), returns)

    def _decode(self, data: bytes, returns: Any) -> Any:
        try:
            return self._decoder(returns).decode(data)
        except msgspec.ValidationError as error:
            raise NotEncodable(
                f"the result does not fit the return annotation: {error}",
                code="pipelines.annotation",
                hint="annotate what the step really returns",
            ) from error

    def present(self, output: Output) -> bool:
        """Tell whether every object of a result is in the store; of a folder, every file."""
        return all(self._present(digest) for digest in output.objects)

    def purge(self, output: Output) -> None:
        """Delete those objects of a result that are damaged, so that they can be put again."""
        for digest in output.objects:
            tree = digest.removeprefix("tree:")
            for name in [tree, *self._tree_files(digest)]:
                try:
                    self.objects.get(name)
                except Unavailable:
                    self.objects.delete(name)
                except NotFound:
                    continue

    def forget(self, output: Output) -> None:
        """Drop what is held in memory of a result that no further step takes."""
        for digest in output.parts:
            self._live.pop(digest, None)

    def _present(self, digest: str) -> bool:
        return self.objects.exists(digest.removeprefix("tree:")) and all(map(self.objects.exists, self._tree_files(digest)))

    def _tree_files(self, digest: str) -> list[str]:
        """Return the digests of a tree's files; none for a plain object or a tree that cannot be read."""
        if not digest.startswith("tree:"):
            return []
        try:
            return [file.digest for file in get_tree(self.objects, digest.removeprefix("tree:")).files]
        except (NotFound, Unavailable):
            return []

    def _decoder(self, returns: Any) -> "msgspec.msgpack.Decoder[Any]":
        known = self._decoders.get(id(returns))
        if known is None:
            kind = Any if returns is UNKNOWN else returns
            decoder = msgspec.msgpack.Decoder(kind, dec_hook=_fit, ext_hook=self.read_part)
            known = self._decoders[id(returns)] = (returns, decoder)
        return known[1]

    def extension(self, item: Any) -> Any:
        """Encode an array, table or path, kept in the store if it is large or a file; None for anything else."""
        numpy, arrow = sys.modules.get("numpy"), sys.modules.get("pyarrow")
        kinds = (Path, *((numpy.ndarray, numpy.generic) if numpy else ()), *((arrow.Table,) if arrow else ()))
        return self._hook(item, {}) if isinstance(item, kinds) else None

    def _hook(self, item: Any, parts: dict[str, None]) -> Any:
        """Encode what MessagePack cannot hold."""
        numpy, arrow = sys.modules.get("numpy"), sys.modules.get("pyarrow")
        if numpy is not None and isinstance(item, numpy.generic):
            return item.item()
        if numpy is not None and isinstance(item, numpy.ndarray):
            return self._keep_array(item, parts)
        if arrow is not None and isinstance(item, arrow.Table):
            return self._part(TABLE, _table_bytes(item), item, parts)
        if isinstance(item, Path):
            return self._keep_path(item, parts)
        raise NotEncodable(
            f"a value of type {type(item).__name__} cannot be kept",
            code="pipelines.result",
            hint="return plain values, Structs, numpy arrays, Arrow tables, bytes, or a Path to what was written",
        )

    def _keep_array(self, array: Any, parts: dict[str, None]) -> msgspec.msgpack.Ext:
        live = array.view()
        live.flags.writeable = False
        if array.dtype == object:
            items = array.ravel().tolist()
            if not all(item is None or isinstance(item, str) for item in items):
                raise NotEncodable(
                    "an array of objects other than str and None cannot be kept",
                    code="pipelines.result",
                    hint="return plain values, arrays, tables, Structs, or a path",
                )
            return self._part(STRINGS, _encode(items), live, parts, shape=array.shape)
        return self._part(ARRAY, _array_bytes(array), live, parts)

    def _keep_path(self, path: Path, parts: dict[str, None]) -> msgspec.msgpack.Ext:
        if path.is_dir():
            tree = put_tree(self.objects, path)
            parts[f"tree:{tree}"] = None
            self._live[tree] = path
            return msgspec.msgpack.Ext(FOLDER, _encode(Part(None, tree)))
        if not path.is_file():
            raise NotEncodable(
                f"the returned path {path.name} does not exist", code="pipelines.result", hint="write it before the step returns"
            )
        digest = self.objects.put_file(path)
        parts[digest] = None
        self._live[f"{digest}/{path.name}"] = path
        return msgspec.msgpack.Ext(FILE, _encode(Part(None, digest, path.name)))

    def _part(
        self, code: int, data: bytes, live: Any, parts: dict[str, None], shape: tuple[int, ...] = ()
    ) -> msgspec.msgpack.Ext:
        if len(data) <= INLINE:
            return msgspec.msgpack.Ext(code, _encode(Part(data, None, shape=shape)))
        digest = self.objects.put(data)
        parts[digest] = None
        self._live[digest] = live
        return msgspec.msgpack.Ext(code, _encode(Part(None, digest, shape=shape)))

    def read_part(self, code: int, data: memoryview) -> Any:
        """Decode what `extension` or a kept result holds beside plain values."""
        part = _parts.decode(data)
        if code in (FILE, FOLDER):
            return self._lay_out(part, code)
        if part.object is not None and part.object in self._live:
            return self._live[part.object]
        content = part.data if part.data is not None else self.objects.get(part.object or "")
        return _READERS[code](content, part)

    def _lay_out(self, part: Part, code: int) -> Path:
        """Write a kept file or folder to the run's folder, once."""
        digest = part.object or ""
        name = f"{digest}/{part.name}" if code == FILE else digest
        known = self._live.get(name)
        if known is not None and known.exists():
            return Path(known)
        folder = self._folder()
        target = folder / digest
        if code == FILE:
            self.objects.fetch(digest, target / part.name)
            target = target / part.name
        elif not target.is_dir():
            beside = folder / f"{digest}.{uuid.uuid4().hex}"
            beside.mkdir(parents=True)
            fetch_tree(self.objects, digest, beside)
            _rename(beside, target)
        self._live[name] = target
        return target


def _rename(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        shutil.rmtree(source)  # another thread was first


def _array_bytes(array: Any) -> bytes:
    import numpy as np

    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(array), allow_pickle=False)
    return stream.getvalue()


def _read_array(data: bytes, _: Part) -> Any:
    import numpy as np

    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    flat: np.ndarray[Any, Any] = np.frombuffer(data, dtype=dtype, offset=stream.tell())
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


def _read_strings(data: bytes, part: Part) -> Any:
    import numpy as np

    array = np.empty(part.shape, object)
    array.ravel()[:] = msgspec.msgpack.decode(data)
    array.flags.writeable = False
    return array


def _table_bytes(table: Any) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table.combine_chunks())
    return bytes(sink.getvalue())


def _read_table(data: bytes, _: Part) -> Any:
    import pyarrow as pa

    with pa.ipc.open_stream(data) as reader:
        return reader.read_all()


_READERS = {ARRAY: _read_array, STRINGS: _read_strings, TABLE: _read_table}


def _fit(kind: Any, value: Any) -> Any:
    """Check a part against the annotation at its place."""
    wanted = get_origin(kind) or kind
    if isinstance(value, wanted):
        return value
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(wanted, type) and issubclass(wanted, numpy.generic):
        return wanted(value)
    raise ValueError(f"a {type(value).__name__} where a {getattr(wanted, '__name__', wanted)} is annotated")
