"""What runs: pose_node and detector_node."""
