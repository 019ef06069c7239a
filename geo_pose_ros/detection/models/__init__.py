"""The networks that the package knows: those that ship, those to be fetched, and which of them run when."""
