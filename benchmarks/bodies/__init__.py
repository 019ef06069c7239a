"""Benchmarks of training: recipes, stores, single cameras."""
