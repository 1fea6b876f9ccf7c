"""Metrics of restored images and of readings."""
