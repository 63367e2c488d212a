"""Answers of versions to whoever asks the service, by a process of their own."""
