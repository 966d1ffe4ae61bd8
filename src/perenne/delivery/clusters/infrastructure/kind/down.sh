#!/usr/bin/env bash
# Removes the cluster with everything in it; the registry goes with --registry.
set -euo pipefail

kind delete cluster --name perenne
if [ "${1:-}" = --registry ]; then
  docker rm -f perenne-registry
fi
