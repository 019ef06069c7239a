# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Core types <-> ROS messages, duck-typed: the same code reads and builds rclpy's classes and rosbags'.

Functions that build take a ``MessageFactory`` (factory.py); functions that read use attributes only.
"""
