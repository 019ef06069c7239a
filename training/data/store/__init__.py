"""A store of sequences to train from."""
