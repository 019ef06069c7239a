"""How good poses are, without a truth to compare with."""
