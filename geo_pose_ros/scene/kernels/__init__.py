"""Compiled core of the scene: plain loops over tracks, joints and cameras; docs/scene.md says what they do."""
