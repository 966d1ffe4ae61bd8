"""Packages for where perenne is not: the edge, and the browser."""
