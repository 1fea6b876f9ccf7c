"""Recognizers of line images: obtaining, training, keeping and scoring them."""
