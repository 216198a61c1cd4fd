"""Measuring a generator from what is on disk, and verdicts on its training."""
