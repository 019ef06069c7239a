"""BlazePose: finds people, then their 33 landmarks."""
