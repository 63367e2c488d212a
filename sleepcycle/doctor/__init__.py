"""Doctor: what is wrong with a home and its machine, and what to do about it."""
