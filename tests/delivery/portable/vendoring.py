"""Renew the runtime of the browser's page: `python tests/delivery/portable/vendoring.py FOLDER`, an unpacked npm package of it.

The WebAssembly is kept as xz, a sixth of its size; `vendor.json` has the checksums of what came and of what is kept.
"""

import hashlib
import json
import lzma
import sys
from pathlib import Path

RUNTIME = Path(__file__).resolve().parents[3] / "src" / "perenne" / "delivery" / "portable" / "page" / "runtime"
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
LICENCE = "onnxruntime.LICENSE.txt"


def main(package: Path) -> None:
    """Copy every file and write what is there to `vendor.json`; the licence, which the package lacks, stays."""
    about = json.loads((package / "package.json").read_text())
    kept = []
    for name in FILES:
        came = (package / "dist" / name).read_bytes()
        packed = name.endswith(".wasm")
        data = lzma.compress(came, preset=9 | lzma.PRESET_EXTREME) if packed else came
        file = f"{name}.xz" if packed else name
        (RUNTIME / file).write_bytes(data)
        kept.append(
            {
                "file": file,
                "package": about["name"],
                "version": about["version"],
                "licence": about["license"],
                "licence_file": LICENCE,
                "path": f"dist/{name}",
                "sha256_upstream": hashlib.sha256(came).hexdigest(),
                "sha256": hashlib.sha256(data).hexdigest(),
            }
        )
    (RUNTIME / "vendor.json").write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
