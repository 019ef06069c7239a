"""Benchmarks of training: stores, single cameras, hidden limbs."""
