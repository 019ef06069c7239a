"""Benchmarks: `make bench*`, or `python benchmarks/NAME.py` from the root of the repository."""
