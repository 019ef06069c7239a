"""Bundle adjustment over people."""
