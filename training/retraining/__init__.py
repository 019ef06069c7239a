"""Fine-tuning of a lifter on recordings, and its check on what is held out."""
