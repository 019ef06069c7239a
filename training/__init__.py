"""Offline training of the lifter, self-supervised from calibrated multi-view 2D keypoints; needs torch."""
