"""GAN-HTR: restoration of handwritten lines guided by a recognizer. Knows nothing of Ray, Optuna or YAML."""
