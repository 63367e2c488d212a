"""Runs: wakes and nights from claimed examples to a recorded version."""
