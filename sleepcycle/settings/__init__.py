"""Settings: what they are, how they are read, and what follows from them."""
