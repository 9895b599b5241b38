"""Tell a container engine whether this container's server or worker answers at ``ANOMFLOW_HEALTH_URL``.

A container that serves nothing, such as that of one run, has no such address and is healthy while it lives.
"""

import os
import sys
import urllib.request

SECONDS = 5.0


def main() -> None:
    """Exit with 0 where the address answers with success, or there is none; else say why and exit with 1."""
    url = os.environ.get("ANOMFLOW_HEALTH_URL")
    if not url:
        return
    try:
        with urllib.request.urlopen(url, timeout=SECONDS):  # noqa: S310 - an address from the image's own environment
            return
    except (OSError, ValueError) as error:
        sys.exit(f"{url}: {error}")


if __name__ == "__main__":
    main()
