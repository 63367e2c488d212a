"""Learning: one wake, one night, and the gate that judges what comes of them."""
