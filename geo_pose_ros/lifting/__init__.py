"""From one view to a pose: canonical input, the lifter, and where its root is."""
