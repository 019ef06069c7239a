"""MoveNet: finds people in an image (multipose), and reads the 17 joints of one person (thunder, lightning)."""
