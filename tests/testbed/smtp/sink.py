#!/usr/bin/python3
"""A mail server that keeps what it is sent: sink.py FOLDER

Listens on loopback, on ports that the system chooses, and runs until it is ended:

  plain     no protection, no login
  login     no protection, takes mail only after a login
  starttls  takes mail only after STARTTLS and a login
  tls       TLS from the first byte; no login

FOLDER/address    one line each: `plain 127.0.0.1:40025` …; written last, so whoever sees it can connect
FOLDER/user, FOLDER/password    of the login; the password's file is private
FOLDER/ca.pem     the certificate to trust; FOLDER/other-ca.pem is a stranger's
FOLDER/mails/     one file per mail, named by its number; its envelope stands in headers X-Envelope-… and X-Listener

Recipients whose name begins with `unknown` are refused, so that a mail to several can be refused in part.
"""

import asyncio
import os
import pathlib
import secrets
import socket
import ssl
import subprocess
import sys

from aiosmtpd.smtp import SMTP, AuthResult

USER = "shipshape"


def certificate(folder, name):
    """A key and a certificate that is its own authority, valid for a day."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
        + ["-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        + ["-addext", "basicConstraints=critical,CA:FALSE"]
        + ["-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"],
        check=True,
        stderr=subprocess.DEVNULL,
    )


class Keep:
    """Writes every mail into a file, whole or not at all."""

    count = 0

    def __init__(self, folder, listener):
        self.mails, self.listener = folder / "mails", listener

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("unknown"):
            return "550 5.1.1 no such person here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        Keep.count += 1
        head = f"X-Listener: {self.listener}\r\nX-Envelope-From: {envelope.mail_from}\r\n"
        head += f"X-Envelope-To: {', '.join(envelope.rcpt_tos)}\r\n"
        draft = self.mails / f".{Keep.count:04}"
        draft.write_bytes(head.encode() + envelope.original_content)
        draft.rename(self.mails / f"{Keep.count:04}.eml")
        return "250 kept"


def main():
    folder = pathlib.Path(sys.argv[1]).absolute()
    (folder / "mails").mkdir(parents=True, exist_ok=True)
    os.umask(0o077)
    certificate(folder, "ca")
    certificate(folder, "other-ca")
    password = secrets.token_urlsafe(16)
    (folder / "user").write_text(USER + "\n")
    (folder / "password").write_text(password + "\n")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "ca.key")

    def check(server, session, envelope, mechanism, data):
        is_right = data.login == USER.encode() and data.password == password.encode()
        return AuthResult(success=is_right, handled=False)

    login = {"authenticator": check, "auth_required": True}
    kinds = {
        "plain": ({}, None),
        "login": (login | {"auth_require_tls": False}, None),
        "starttls": (login | {"tls_context": context, "require_starttls": True}, None),
        "tls": ({}, context),
    }
    asyncio.run(serve(folder, kinds))


async def serve(folder, kinds):
    loop, lines, servers = asyncio.get_running_loop(), [], []
    for kind, (options, context) in kinds.items():
        # The default of the loop variables: each listener keeps its own.
        def factory(kind=kind, options=options):
            return SMTP(Keep(folder, kind), hostname="localhost", loop=loop, **options)

        listener = socket.create_server(("127.0.0.1", 0))
        servers.append(await loop.create_server(factory, sock=listener, ssl=context))
        lines.append(f"{kind} 127.0.0.1:{listener.getsockname()[1]}\n")
    (folder / ".address").write_text("".join(lines))
    (folder / ".address").rename(folder / "address")
    await asyncio.gather(*(server.serve_forever() for server in servers))


main()
