"""People before cameras, detectors and networks, with exact truth."""
