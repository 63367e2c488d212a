"""A file that came in over HTTP and is kept, to fine-tune on."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Upload:
    """What is known of a file beside its bytes."""

    id: str
    name: str
    """As who sent it calls it; no path."""

    purpose: str
    size_bytes: int
    sha256: str
    created_at: datetime
