"""Networks: generator, discriminator, recognizers, text encoder, projection heads."""
