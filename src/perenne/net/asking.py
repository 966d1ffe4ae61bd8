"""Asking a process of this installation something, directly."""

import http.client
import ssl
from urllib.parse import urlsplit

MAX_ANSWER = 8 * 1024 * 1024


def ask(address: str, path: str, seconds: float) -> tuple[int, bytes]:
    """Get a path of a process, and return the status and the body.

    Parameters
    ----------
    address : str
        As the process itself says; nothing else is ever asked.
    seconds : float
        How long to wait for it at each step.

    Raises
    ------
    OSError
        If it does not answer in time.
    """
    connection = _connection(address, seconds)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(MAX_ANSWER)
    except http.client.HTTPException as error:
        raise OSError(f"{type(error).__name__}") from error
    finally:
        connection.close()


def _connection(address: str, seconds: float) -> http.client.HTTPConnection:
    """Connect to a process of one's own: its certificate is for the names others know, and nothing secret is sent to it."""
    where = urlsplit(address)
    if where.scheme != "https":
        return http.client.HTTPConnection(where.netloc, timeout=seconds)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(where.netloc, timeout=seconds, context=context)
