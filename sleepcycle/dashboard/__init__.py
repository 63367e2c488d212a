"""The dashboard: pages on which a person sees a home learn, sleep and remember."""
