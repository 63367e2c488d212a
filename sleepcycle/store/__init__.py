"""The books: what was fed, which run took it, which version learned it.

This package is the only home of SQLAlchemy and Alembic. Nothing is imported here,
so that `store.snapshot` stays as quick to load as the standard library.
"""
