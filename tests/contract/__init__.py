"""What the outside sees, held against golden files: a refactor may not change it."""
