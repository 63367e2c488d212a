"""A service that lets a language model keep learning without forgetting."""
