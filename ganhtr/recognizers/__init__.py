"""Recognizers of line images: obtaining, training, saving and scoring them."""
