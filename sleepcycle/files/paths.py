"""Where everything lies in a home, the state directory."""

import shlex
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
CARD = "card.json"  # what a sealed version says of itself
ADAPTER_WEIGHTS = "adapter_model.safetensors"  # both as PEFT names them
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_GGUF = "adapter.gguf"


@dataclass(frozen=True, slots=True)
class HomePaths:
    """The layout of one home."""

    root: Path

    @property
    def config(self) -> Path:
        """The user's settings."""
        return self.root / "config.toml"

    @property
    def database(self) -> Path:
        """The SQLite store."""
        return self.root / "sleepcycle.db"

    @property
    def versions(self) -> Path:
        """Sealed versions, one folder each."""
        return self.root / "versions"

    @property
    def staging(self) -> Path:
        """Versions being built; whatever is here after a crash is deleted."""
        return self.root / "staging"

    @property
    def unclaimed(self) -> Path:
        """What recovery found and no run claims, moved out of the way."""
        return self.root / "unclaimed"

    @property
    def runs(self) -> Path:
        """Run folders, the contract between service and worker."""
        return self.root / "runs"

    @property
    def backups(self) -> Path:
        """Copies of the database made before a migration."""
        return self.root / "backups"

    @property
    def scratch(self) -> Path:
        """What a backup, a restore or a clearing is at; deleted if none of them is."""
        return self.root / "scratch"

    @property
    def cache(self) -> Path:
        """What can be computed again, such as the base's hash."""
        return self.root / "cache"

    @property
    def logs(self) -> Path:
        """Log files."""
        return self.root / "logs"

    @property
    def log(self) -> Path:
        """What is written down while running; turned over when it is long."""
        return self.logs / "sleepcycle.log"

    @property
    def inbox(self) -> Path:
        """Where files are dropped to be fed by the service."""
        return self.root / "inbox"

    @property
    def uploads(self) -> Path:
        """What came in over HTTP; hidden files of it are not whole."""
        return self.root / "uploads"

    @property
    def daemon(self) -> Path:
        """How the running service is reached, as JSON."""
        return self.root / "daemon.json"

    @property
    def token(self) -> Path:
        """What one must know to tell the service what to do."""
        return self.root / "token"

    @property
    def tokens(self) -> Path:
        """What is kept of the tokens that were made for other programs."""
        return self.root / "tokens.json"

    @property
    def tokens_lock(self) -> Path:
        """The lock that whoever makes or revokes a token holds."""
        return self.root / "tokens.lock"

    @property
    def journal_head(self) -> Path:
        """Number and hash of a journal entry that must be there."""
        return self.root / "journal.head"

    @property
    def lock(self) -> Path:
        """The lock that a run, a rollback or a migration holds."""
        return self.root / "lock"

    @property
    def feed_lock(self) -> Path:
        """The lock that a feed holds while it adds rows."""
        return self.root / "feed.lock"

    def command(self, words: str) -> str:
        """Return a command on this home, as a person types it in a shell."""
        return f"sleepcycle --home {shlex.quote(str(self.root))} {words}"

    def run(self, number: int) -> Path:
        """Return the folder of one run."""
        return self.runs / f"{number:06d}"


def carried(name: str, source: str) -> Path:
    """Return where something that the wheel carries lies.

    Args:
        name: Its place in the installed package.
        source: Its place in the source tree, beside the package.
    """
    installed = PACKAGE / name
    return installed if installed.exists() else PACKAGE.parent / source
