"""What the command lines say and mean."""
