"""Takes what must not be read out of text: of URLs, headers and JSON that somebody logs or complains with.

Credentials whose text is known are taken out by `Credentials.redact`. What stands here knows secrets by the names that
exchanges give them, so it also finds those that were made on the way: signatures, session tokens, listen keys, nonces.
"""
from __future__ import annotations

import logging
import re
from collections.abc import MutableMapping
from typing import Any

#: Of query parameters, header fields and JSON members, as exchanges spell them.
NAMES = ("api[-_]?key", "api[-_]?sign", "sign", "signature", "authsig", "listen[-_]?key", "token", "access[-_]token",
         "refresh[-_]token", "client[-_]secret", "secret", "passphrase", "nonce", "authorization", "x-mbx-apikey",
         "cb-access-[a-z]+", "ok-access-[a-z]+", "kc-api-[a-z]+", "x-bapi-[a-z-]+", "bfx-[a-z]+", "x-gemini-[a-z]+",
         "x-auth[a-z-]*")
#: A value of fewer characters is a word of a sentence ("nonce: small"), not a secret.
SHORTEST = 8
PATTERN = re.compile(
    rf"""(?i)(?<![a-z0-9])((?:{"|".join(NAMES)})(?:\\?["'])?\s*(?:[=:]|,\s+b?['"])\s*(?:b?\\?["'])?"""
    rf"""(?:(?:bearer|basic|bitstamp)\s+)?)([^\s&"',;)\]}}\\]{{{SHORTEST},}})""")


def redacted(text: str) -> str:
    """The text with *** for the value of everything that is named like a secret."""
    return PATTERN.sub(r"\1***", text)


class RedactingFilter(logging.Filter):
    """On a logger of a library: what it says is redacted before any sink of the user's sees it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always lets it pass."""
        said = record.getMessage()
        shown = redacted(said)
        if shown is not said:
            record.msg, record.args = shown, ()
        return True


class RedactingLogger(logging.LoggerAdapter[logging.Logger]):
    """The same for a library that makes loggers of its own below the one it is given, where no filter reaches."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """As given."""
        return msg, kwargs

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Redact, then log."""
        if self.isEnabledFor(level):
            self.logger.log(level, "%s", redacted(str(msg) % args if args else str(msg)), **kwargs)


_FILTER = RedactingFilter()


def redact_loggers(*names: str) -> None:
    """Filter what these loggers say, from now on; again is the same as once."""
    for name in names:
        logging.getLogger(name).addFilter(_FILTER)
