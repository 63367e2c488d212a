"""The pages of docs/reference, a function each, from the code and its golden files."""
