"""What a worker computes: a wake, a night (fold, REM) and the gate's verdict."""
