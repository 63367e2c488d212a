"""The service that stays up: scheduler, executor, calendar, inbox, alerts, systemd."""
