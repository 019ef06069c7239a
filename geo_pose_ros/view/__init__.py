"""Pictures of what the pipeline sees and finds."""
