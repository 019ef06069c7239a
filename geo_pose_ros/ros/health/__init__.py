"""Diagnostics, faults and statistics of a running node."""
