"""A mail server as a test needs one: real SMTP over a socket with STARTTLS or TLS and a log-in, which keeps what it gets."""

import base64
import contextlib
import email
import socket
import ssl
import threading
from email.message import Message as Mail
from pathlib import Path

import trustme


class MailServer:
    """Answers one connection after another in a thread, until it is closed.

    Parameters
    ----------
    folder : Path
        Where its certificate authority is written, for those who are to trust it.
    tls : bool
        Whether a connection is TLS from the start.
    password : str
        What `ada` logs in with; nobody is let in otherwise. Empty for no log-in.
    """

    def __init__(self, folder: Path, *, tls: bool = False, starttls: bool = True, password: str = "", refuse: str = "") -> None:
        self.mails: list[Mail] = []
        self.logged_in: list[str] = []
        self.was_secure: list[bool] = []
        self._tls, self._starttls, self._password, self._refuse = tls, starttls, password, refuse
        authority = trustme.CA()
        self.ca = folder / "ca.pem"
        authority.cert_pem.write_to_path(self.ca)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(self._context)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    def close(self) -> None:
        self._socket.close()
        with socket.socket() as last:  # wakes who waits in accept
            last.connect_ex(("127.0.0.1", self.port))
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._open = [connection]
            with contextlib.suppress(OSError):
                self._talk(self._secured(connection) if self._tls else connection)
            for opened in self._open:
                opened.close()

    def _secured(self, connection: socket.socket) -> socket.socket:
        secured = self._context.wrap_socket(connection, server_side=True)
        self._open.append(secured)
        return secured

    def _talk(self, connection: socket.socket) -> None:
        secure, stream = self._tls, connection.makefile("rb")

        def say(text: str) -> None:
            connection.sendall(f"{text}\r\n".encode())

        say("220 here")
        while line := stream.readline():
            verb, _, rest = line.decode().strip().partition(" ")
            match verb.upper():
                case "EHLO":
                    say("250-here")
                    if self._starttls and not secure:
                        say("250-STARTTLS")
                    say("250 AUTH PLAIN" if self._password else "250 8BITMIME")
                case "STARTTLS":
                    say("220 go on")
                    connection = self._secured(connection)
                    secure, stream = True, connection.makefile("rb")
                case "AUTH":
                    _, user, password = base64.b64decode(rest.split()[-1]).decode().split("\0")
                    good = password == self._password
                    self.logged_in += [user] if good else []
                    say("235 welcome" if good else f"535 no {password}"[:7])
                case "RCPT":
                    say(f"550 {self._refuse}" if self._refuse else "250 ok")
                case "DATA":
                    say("354 go on")
                    lines = []
                    while (part := stream.readline()) not in (b".\r\n", b""):
                        lines.append(part[1:] if part.startswith(b"..") else part)
                    self.mails.append(email.message_from_bytes(b"".join(lines)))
                    self.was_secure.append(secure)
                    say("250 kept")
                case "QUIT":
                    say("221 bye")
                    return
                case _:
                    say("250 ok")
