"""Scripts that make what the package carries, and one that measures its structure."""
