"""Keys to an account, and keeping them out of every output. Rule: a secret is shown by nothing, not even at DEBUG.

Keys come from the portfolio file's `${NAME}` values or from a key file that its owner alone may read. Exceptions of
ccxt carry the signed URL and its debug log the key itself: the text of the first passes through `scrub`, the second is
never written.
"""

import hashlib
import logging
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

HIDDEN = "***"
# What a signed request carries beside the secret itself: none of it belongs into a log.
_SIGNED = re.compile(
    r"(?i)(signature|api[_-]?key|listen[_-]?key|x-mbx-apikey|passphrase|secret)(['\"]?\s*[=:]\s*['\"]?)[^&\s'\",}]+"
)
_QUERY = re.compile(r"((?:https?|wss?)://[^\s?]+)\?\S+")
_LOGGER = "gridkeeper.ccxt"


class KeyFileRefused(ValueError):
    """A key file that may not be used; says which and what would make it right."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The keys of one account. `password` is the passphrase that some exchanges want beside them."""

    api_key: SecretStr
    secret: SecretStr
    password: SecretStr | None = None

    @property
    def identity(self) -> str:
        """A name for the account that gives nothing away: the first 16 hex digits of the key's SHA-256."""
        return hashlib.sha256(self.api_key.get_secret_value().encode()).hexdigest()[:16]

    @property
    def shown_never(self) -> tuple[str, ...]:
        """The texts that no output may contain."""
        parts = (self.api_key, self.secret, self.password)
        return tuple(part.get_secret_value() for part in parts if part is not None and part.get_secret_value())


def read_key_file(path: Path) -> Credentials:
    """Read `api_key=`, `secret=` and optionally `password=` lines from a file.

    Raises `KeyFileRefused` where others may read the file, or where a line or a name is not as expected.
    """
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise KeyFileRefused(f"{path} can be read by others (mode {mode:03o}); run: chmod 600 {path}")
    found: dict[str, SecretStr] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        name, mark, value = line.partition("=")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not mark or name.strip() not in {"api_key", "secret", "password"}:
            raise KeyFileRefused(f"{path}:{number} is not api_key=..., secret=... or password=...")
        found[name.strip()] = SecretStr(value.strip())
    missing = [name for name in ("api_key", "secret") if name not in found]
    if missing:
        raise KeyFileRefused(f"{path} has no line {missing[0]}=...")
    return Credentials(found["api_key"], found["secret"], found.get("password"))


def scrub(text: str, credentials: Credentials | None = None) -> str:
    """Return `text` without secrets, signatures and the query part of addresses."""
    if credentials is not None:
        for part in credentials.shown_never:
            text = text.replace(part, HIDDEN)
    text = _QUERY.sub(r"\1", text)
    return _SIGNED.sub(rf"\1\2{HIDDEN}", text)


def quiet_logger() -> logging.Logger:
    """The logger that ccxt gets: its debug lines print the key and the signed body, so no level lets them through."""
    logger = logging.getLogger(_LOGGER)
    if not any(isinstance(one, _NothingBelowWarning) for one in logger.filters):
        logger.addFilter(_NothingBelowWarning())
    logger.setLevel(logging.WARNING)
    # ccxt's web socket code logs under its module names.
    logging.getLogger("ccxt").setLevel(logging.WARNING)
    return logger


class _NothingBelowWarning(logging.Filter):
    # A level can be turned down from outside; a filter stays.
    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING
