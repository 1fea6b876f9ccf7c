"""Lines: built in or read from files, degraded, split and batched."""
