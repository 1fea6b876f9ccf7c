"""From a table of line values to a verdict: helps, hurts, practically equal or cannot tell."""
