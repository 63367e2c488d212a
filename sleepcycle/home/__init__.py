"""One state directory, and everything that can be done with it."""
