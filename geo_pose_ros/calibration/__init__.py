"""A better rig from people who walk before its cameras."""
