"""Evaluation of lifters, every view lifted on its own."""
