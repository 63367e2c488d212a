"""From kept results to tables, charts and pages."""
