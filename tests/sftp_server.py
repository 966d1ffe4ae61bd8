"""An SFTP server in threads of this process: real SSH on a loopback port, files in a folder, and no shell."""

import errno
import os
import socket
import threading
from pathlib import Path
from typing import Any

import paramiko

USER, PASSWORD = "ada", "secret-of-the-tests"


class SftpServer:
    """A server on a free port of 127.0.0.1 that shows a folder as ``/``.

    Attributes
    ----------
    commands : list of bytes
        What somebody wanted to be run; a client that needs no shell leaves it empty.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = paramiko.ECDSAKey.generate(bits=256)
        self.allowed_key: str | None = None
        self.commands: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.port: int = self._listening.getsockname()[1]
        self._transports: list[paramiko.Transport] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def known_host(self) -> str:
        """The line of ``known_hosts``."""
        return f"[127.0.0.1]:{self.port} {self.key.get_name()} {self.key.get_base64()}\n"

    def stop(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()

    def cut(self) -> None:
        """End every connection."""
        for transport in self._transports:
            transport.close()
        self._transports.clear()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            transport = paramiko.Transport(client)
            transport.add_server_key(self.key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Files, folder=self.folder)
            self._transports.append(transport)
            try:
                transport.start_server(server=_Door(self))
            except (paramiko.SSHException, EOFError, OSError):
                transport.close()


class _Door(paramiko.ServerInterface):  # type: ignore[misc]
    def __init__(self, server: SftpServer) -> None:
        self._server = server

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)

    def check_auth_password(self, username: str, password: str) -> int:
        good = (username, password) == (USER, PASSWORD)
        return int(paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED)

    def check_auth_publickey(self, username: str, key: Any) -> int:
        good = username == USER and key.get_base64() == self._server.allowed_key
        return int(paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED)

    def get_allowed_auths(self, username: str) -> str:
        return "password,publickey"

    def check_channel_exec_request(self, channel: Any, command: bytes) -> bool:
        self._server.commands.append(command)
        return False


def _answer(error: OSError) -> int:
    return int(paramiko.SFTPServer.convert_errno(error.errno or errno.EIO))


class _Handle(paramiko.SFTPHandle):  # type: ignore[misc]
    def stat(self) -> Any:
        return paramiko.SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))


class _Files(paramiko.SFTPServerInterface):  # type: ignore[misc]
    """The folder's files; every answer to a failure is the number of its error."""

    def __init__(self, server: Any, *rest: Any, folder: Path, **more: Any) -> None:
        super().__init__(server, *rest, **more)
        self._folder = folder

    def _at(self, path: str) -> str:
        return f"{self._folder}{self.canonicalize(path)}"

    def list_folder(self, path: str) -> Any:
        try:
            names = os.listdir(self._at(path))
            return [paramiko.SFTPAttributes.from_stat(os.stat(f"{self._at(path)}/{name}"), name) for name in names]
        except OSError as error:
            return _answer(error)

    def stat(self, path: str) -> Any:
        try:
            return paramiko.SFTPAttributes.from_stat(os.stat(self._at(path)))
        except OSError as error:
            return _answer(error)

    lstat = stat

    def open(self, path: str, flags: int, attr: Any) -> Any:
        try:
            handle = os.open(self._at(path), flags, 0o666)
        except OSError as error:
            return _answer(error)
        stream = os.fdopen(handle, "wb" if flags & os.O_WRONLY else "r+b" if flags & os.O_RDWR else "rb")
        opened = _Handle(flags)
        opened.readfile = opened.writefile = stream
        return opened

    def _done(self, work: Any, *arguments: Any) -> int:
        try:
            work(*arguments)
        except OSError as error:
            return _answer(error)
        return int(paramiko.SFTP_OK)

    def remove(self, path: str) -> int:
        return self._done(os.remove, self._at(path))

    def rename(self, oldpath: str, newpath: str) -> int:
        if os.path.exists(self._at(newpath)):
            return int(paramiko.SFTP_FAILURE)
        return self._done(os.rename, self._at(oldpath), self._at(newpath))

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        return self._done(os.rename, self._at(oldpath), self._at(newpath))

    def mkdir(self, path: str, attr: Any) -> int:
        return self._done(os.mkdir, self._at(path))
