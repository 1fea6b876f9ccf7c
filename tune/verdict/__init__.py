"""From tables of lines to a verdict."""
