"""The database: what was fed, which run took it, which version learned it.

This package alone uses SQLite, SQLAlchemy and Alembic. Nothing is imported here,
so that `store.snapshot` stays as quick to load as the standard library.
"""
