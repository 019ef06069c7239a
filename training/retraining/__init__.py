"""Fine-tuning of a lifter on hold_outs, and its proof."""
