"""Benchmarks of what runs: nodes, the viewer, the fleet, the whole way of a new user."""
