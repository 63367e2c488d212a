"""What is taught in which phases; the built-in curricula lie beside the code."""
