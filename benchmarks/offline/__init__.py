"""Benchmarks of what is done with whole recordings."""
