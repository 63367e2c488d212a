"""The HTTP control of a running service, and the client that reaches it."""
