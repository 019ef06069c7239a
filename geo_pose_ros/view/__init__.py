"""What the pipeline sees and finds, for people: the viewer, drawings and the report."""
