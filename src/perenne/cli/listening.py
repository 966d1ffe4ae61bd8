"""Options of the commands that start servers: where they listen and how they are reached."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from perenne.core.config import Settings
from perenne.net.listening import Listening

C = TypeVar("C", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--host", help="The address to listen on; PERENNE_HOST or 127.0.0.1. Any but loopback needs tokens and TLS."),
    click.option("--names", metavar="NAME,…", help="Names by which it is reached, besides its address; PERENNE_NAMES."),
    click.option("--tls-cert", metavar="FILE", help="The certificate with its chain; PERENNE_TLS_CERT."),
    click.option("--tls-key", metavar="FILE", help="The certificate's key; PERENNE_TLS_KEY."),
    click.option(
        "--trusted-proxy", "proxies", multiple=True, metavar="ADDRESS",
        help="A proxy, or a network of them, whose X-Forwarded-For and -Proto are believed; repeat it. PERENNE_TRUSTED_PROXIES.",
    ),
)  # fmt: skip


def listening_options(command: C) -> C:
    """Give a command the options that `listening` reads."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def listening(settings: Settings, options: dict[str, Any]) -> Listening:
    """Join what the command line says with what the settings say."""
    names: str | None = options["names"]
    return Listening(
        host=options["host"] or settings.host,
        names=settings.names if names is None else tuple(part.strip() for part in names.split(",") if part.strip()),
        tls_cert=options["tls_cert"] or settings.tls_cert,
        tls_key=options["tls_key"] or settings.tls_key,
        trusted_proxies=options["proxies"] or settings.trusted_proxies,
    )
