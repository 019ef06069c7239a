"""Everything that makes or judges a CameraRig: rig files, foreign formats, rigs from bags and from live topics."""
