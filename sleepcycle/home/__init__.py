"""One state directory, and what is done with it: ask, evaluate, export, roll back."""
