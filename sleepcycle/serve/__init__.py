"""How the running service is reached: HTTP on the loopback interface."""
