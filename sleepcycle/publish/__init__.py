"""Other servers that are to have a version: what they have, and how it is brought."""
