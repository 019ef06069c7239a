"""Sources of multi-view 2D keypoints, and their preparation for training."""
