"""Fill `static/vendor` from unpacked npm packages: `python tests/web/vendoring.py NODE_MODULES`, after `npm install` of each.

A browser finds modules by path only, without an import map, which would have to be inline: so each module's bare imports are made
relative, and nothing else is changed. `vendor.json` keeps name, version, licence, and checksums of what came and what is kept.
"""

import hashlib
import json
import re
import sys
from pathlib import Path

VENDOR = Path(__file__).resolve().parents[2] / "src" / "perenne" / "web" / "static" / "vendor"
FILES = {
    "preact.js": ("preact", "dist/preact.mjs"),
    "hooks.js": ("preact", "hooks/dist/hooks.mjs"),
    "htm.js": ("htm", "dist/htm.mjs"),
    "signals-core.js": ("@preact/signals-core", "dist/signals-core.mjs"),
    "signals.js": ("@preact/signals", "dist/signals.mjs"),
    "uplot.js": ("uplot", "dist/uPlot.esm.js"),
    "uplot.css": ("uplot", "dist/uPlot.min.css"),
    "inter.woff2": ("@fontsource-variable/inter", "files/inter-latin-wght-normal.woff2"),
    "jetbrains-mono.woff2": ("@fontsource-variable/jetbrains-mono", "files/jetbrains-mono-latin-wght-normal.woff2"),
}
IMPORTS = {
    "preact": "./preact.js",
    "preact/hooks": "./hooks.js",
    "@preact/signals-core": "./signals-core.js",
}


def relative(text: str) -> str:
    """Make the bare imports of a module relative, and leave out where its source map would be."""
    for bare, path in IMPORTS.items():
        text = re.sub(rf'\b(from|import)(\s*)"{re.escape(bare)}"', rf'\1\2"{path}"', text)
    return re.sub(r"\n//# sourceMappingURL=.*\n?", "\n", text)


def main(modules: Path) -> None:
    """Copy every file, its licence, and write what is there to `vendor.json`."""
    kept = []
    for name, (package, path) in FILES.items():
        folder = modules / package
        about = json.loads((folder / "package.json").read_text())
        data = came = (folder / path).read_bytes()
        if path.endswith("js"):
            data = relative(came.decode()).encode()
        (VENDOR / name).write_bytes(data)
        licence = f"{package.strip('@').replace('/', '-')}.LICENSE.txt"
        (VENDOR / licence).write_bytes((folder / "LICENSE").read_bytes())
        kept.append(
            {
                "file": name,
                "package": package,
                "version": about["version"],
                "licence": about["license"],
                "licence_file": licence,
                "path": path,
                "sha256_upstream": hashlib.sha256(came).hexdigest(),
                "sha256": hashlib.sha256(data).hexdigest(),
            }
        )
    (VENDOR / "vendor.json").write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
