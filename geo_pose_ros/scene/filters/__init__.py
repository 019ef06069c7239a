"""Kalman filters of joints and roots."""
