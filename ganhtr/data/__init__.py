"""Lines: built in or from a folder, degraded, split, as batches."""
