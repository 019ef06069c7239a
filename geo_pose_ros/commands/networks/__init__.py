"""Commands about neural networks that need no torch."""
