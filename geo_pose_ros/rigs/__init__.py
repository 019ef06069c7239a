"""A camera rig from anywhere: files in and out, topics, transforms, cameras that move."""
