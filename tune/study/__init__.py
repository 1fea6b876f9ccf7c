"""What a study's folder holds."""
