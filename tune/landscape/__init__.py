"""What the trials say of the space: importance and the good region."""
