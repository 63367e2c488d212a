"""Durable writes, sealed and run folders, the paths of a home, child processes."""
