"""Measurements: ours beside what others run, in one go on one machine."""
