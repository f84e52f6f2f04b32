"""Dataset distillation for super-resolution without class labels and pre-trained models, and its baseline, GSDD."""
