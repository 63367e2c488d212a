"""The study: ways to let a model keep learning, compared by the service's own code."""
