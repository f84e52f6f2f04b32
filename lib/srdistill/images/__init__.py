"""What a picture is here: ``uint8`` (3, H, W) RGB at rest, ``float32`` (N, 3, H, W) in [0, 1] in work."""
