"""Commands that talk to a running ROS 2 system."""
