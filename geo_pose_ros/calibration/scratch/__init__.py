"""A first rig without extrinsics."""
