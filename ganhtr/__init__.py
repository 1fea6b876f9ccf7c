"""GAN-HTR: restoration of handwritten lines with the help of a text recognizer."""
