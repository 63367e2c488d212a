"""The service as one object: what every command, and every Python user, calls."""
