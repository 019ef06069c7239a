"""Files that hold bags: which there are, what they are if they are none, and what can be read of damaged ones."""
