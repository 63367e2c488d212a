"""Server: the HTTP control of a running service, and the way to it."""
