"""What can be set, how settings are read, and what follows from them."""
