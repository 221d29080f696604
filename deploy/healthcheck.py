"""What the image's HEALTHCHECK asks: ends with 0 while this container's worker is ready, else with 1."""

import http.client
import os
import sys


def is_ready(port: int) -> bool:
    """Whether /readyz answers 200. No proxy of the environment comes in between."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if is_ready(int(os.environ["ANNUL_HEALTH_PORT"])) else 1)
