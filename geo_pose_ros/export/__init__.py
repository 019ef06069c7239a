"""Bodies over time, and the files that other programs read them from: tables, marker files, animated skeletons."""
