"""Kubernetes: manifests and clusters as code, and what is applied there."""
