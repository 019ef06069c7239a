"""From videos to files: `geo_pose run` and `geo_pose export`."""
