"""Losses: pure functions that give one value a line."""
