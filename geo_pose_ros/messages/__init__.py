"""Core types <-> ROS messages, duck-typed: the same code reads and builds rclpy's classes and rosbags'.

Functions that build take a ``MessageFactory`` (factory.py); functions that read use attributes only.
"""
