"""The cycle: from claimed examples to a sealed version, and back after a crash."""
