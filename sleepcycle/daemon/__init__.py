"""Daemon: the service that stays up, when it learns and sleeps, and who tells it to."""
