"""Traces of training jobs in the formats they are published in, and jobs drawn from presets."""
