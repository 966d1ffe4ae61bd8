#!/bin/sh
# Make the data and go one round; `--fast` takes less of it, where there is much.
set -eu
cd "$(dirname "$0")"
clone="$(cd ../.. && pwd)"
if [ -x "$clone/perenne" ]; then  # not installed, but in a clone: its own environment has everything
  PATH="$clone:$clone/.venv/bin:$PATH"
fi
perenne --version
python3 make_data.py "$@"
perenne run
