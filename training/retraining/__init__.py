"""Fine-tuning of a lifter on recordings, and its proof."""
