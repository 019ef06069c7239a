"""The commands of training, one module per command, as geo_pose_ros.commands: the only place that knows argparse."""
