"""Calibrated multi-camera RGB to 3D human skeletons, under ROS 2, over a bag, or in a test."""

__version__ = '0.1.0'
