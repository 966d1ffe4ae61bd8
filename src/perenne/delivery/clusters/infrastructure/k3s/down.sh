#!/usr/bin/env bash
# Removes k3s with everything that ran in it.
set -euo pipefail

/usr/local/bin/k3s-uninstall.sh
