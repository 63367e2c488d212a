"""What happens in a night: deep sleep makes the adapter small."""
