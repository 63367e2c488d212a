"""Curricula: what is taught in which phases; the built-in ones lie beside the code."""
