"""A home as one file, and back again; removal of files that nothing needs."""
