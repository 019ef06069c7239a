"""Labels from geometry alone: triangulation, sides, extrinsics, detector noise."""
