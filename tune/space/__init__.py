"""A YAML file as a validated search space."""
