"""The process that sends: `python -m tasks.alerts_send`, one JSON document in, one out. It lives for one batch.

A process of its own, because what it calls may hang, may print an address with its token, and is none of the tick's
business. Addresses come in on stdin, never in the command line; nothing that the libraries write leaves this process.
"""

import json
import logging
import sys
from typing import Any

# In seconds, for each mail: connect and read.
TIMEOUT_S = 8.0


def send(url: str, title: str, body: str, tone: str) -> bool:
    """Send one message to one apprise URL; whether it was taken."""
    import apprise

    target = apprise.Apprise(asset=apprise.AppriseAsset(app_id="gridkeeper", async_mode=False))
    if not target.add(_with_timeouts(url)):
        return False
    # As text: a service that shows HTML (mail, Telegram) gets it escaped, and with its lines.
    told = apprise.NotifyType(tone)
    return target.notify(body=body, title=title, notify_type=told, body_format=apprise.NotifyFormat.TEXT) is True


def usable(url: str) -> bool:
    """Whether apprise knows what to do with a URL; nothing is sent."""
    import apprise

    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    return apprise.Apprise.instantiate(url, suppress_exceptions=True) is not None


def _with_timeouts(url: str) -> str:
    if "cto=" in url or "rto=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}cto={TIMEOUT_S:g}&rto={TIMEOUT_S:g}"


def main() -> int:
    """Read {"mails": [{"url", "title", "body", "tone"}]}; print {"taken": [bool]}, in the same order."""
    logging.disable(logging.CRITICAL)
    given: dict[str, Any] = json.load(sys.stdin)
    taken = [send(one["url"], one["title"], one["body"], one["tone"]) for one in given["mails"]]
    sys.stdout.write(json.dumps({"taken": taken}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
