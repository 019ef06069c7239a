"""A store of recordings to train from."""
