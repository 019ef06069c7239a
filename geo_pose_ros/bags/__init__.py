"""Bags without ROS: read, write, import videos and calibrations, process offline."""
