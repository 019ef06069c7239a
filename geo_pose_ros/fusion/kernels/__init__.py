"""Compiled core of the fusion: plain loops over one body after the other; docs/fusion.md derives them."""
