"""Whether this machine, its ROS set-up and a rig are fit, and what to do where they are not."""
