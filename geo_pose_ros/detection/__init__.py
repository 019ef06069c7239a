"""2D detectors: one protocol, plugins by name."""

from .base import Detector, create_detector

__all__ = ['Detector', 'create_detector']
