"""A package for the browser: a page that answers the model by itself, with ONNX Runtime's WebAssembly beside it.

Any server of files will do, `python -m http.server` too; nothing else is fetched, and no row leaves the page. The runtime is
vendored (`page/runtime/vendor.json` says which version, and its checksums); its WebAssembly is kept compressed.
"""

import lzma
import shutil
from pathlib import Path

from perenne.core import json as canonical
from perenne.delivery.portable.model import Limits, PortableReport
from perenne.delivery.portable.preparing import Source, prepare
from perenne.delivery.portable.running import Graph, time_rows
from perenne.delivery.portable.writing import finished, package_bytes
from perenne.stats.columns import Columns

PAGE = Path(__file__).with_name("page")
_PACKED = ".xz"
_UNSHIPPED = "vendor.json"


def write_browser(
    target: Path, source: Source, *, rows: Columns | None, limits: Limits | None, with_rows: bool
) -> PortableReport:
    """Write the folder. Parameters and errors as for `prepare`; Conflict if the folder holds something already."""
    prepared = prepare(source, rows, limits, with_rows=with_rows)
    with finished(target) as folder:
        _write_page(folder)
        (folder / "model.onnx").write_bytes(prepared.data)
        (folder / "model.json").write_bytes(canonical.canonical(prepared.about))
        (folder / "example.json").write_bytes(canonical.canonical(prepared.example))
        median, high = time_rows(Graph(prepared.data, prepared.missing), prepared.rows)
        report = PortableReport(
            model=source.version,
            kind="browser",
            precision=prepared.about.precision,
            graph_bytes=len(prepared.data),
            package_bytes=package_bytes(folder),
            p50_us=median,
            p99_us=high,
            tried=prepared.tried,
        )
        (folder / "report.json").write_bytes(canonical.canonical(report))
    return report


def _write_page(folder: Path) -> None:
    """Copy the page and the runtime; what is kept compressed is unpacked."""
    for path in sorted(PAGE.rglob("*")):
        if path.is_dir() or path.name == _UNSHIPPED:
            continue
        target = folder / path.relative_to(PAGE)
        target.parent.mkdir(exist_ok=True)
        if path.suffix == _PACKED:
            target.with_suffix("").write_bytes(lzma.decompress(path.read_bytes()))
        else:
            shutil.copyfile(path, target)
