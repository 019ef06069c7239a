"""What people show of a rig: whether rays meet at them, and whether they stand in its world as people do."""
