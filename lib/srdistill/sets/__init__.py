"""The artefact that people take away, and the plain sets: noise, downscaled pictures, random crops, windows of a set."""
