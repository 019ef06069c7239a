"""Multi-view geometry as pure functions of numpy arrays."""
