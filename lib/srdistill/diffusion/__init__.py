"""What all wings need of diffusion: the transformer, its noise schedule, training, sampling, and the engines of expansion."""
