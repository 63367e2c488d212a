"""Reports: from kept results to tables, charts and pages."""
