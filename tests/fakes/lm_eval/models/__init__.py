"""Models that a harness can ask."""
