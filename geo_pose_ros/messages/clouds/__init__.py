"""What travels as PointCloud2: bodies, keypoints, predictions, details."""
