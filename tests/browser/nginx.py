"""A real nginx between a client and a node, started by the tests: as people set it up, not as they should."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import aiohttp

from tests.conftest import missing
from tests.gateway.nodes import DEADLINE_S
from tests.ports import free_port

#: Passes no upgrade on, as nginx by itself; honours the gateway's word that it should not collect.
REFUSES_UPGRADES: Final = ""
#: As its manual says it should be set up.
PASSES_UPGRADES: Final = (
    "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $hop;"
)
#: Collects what comes, whatever the gateway says. It does so by itself; only its word is not heard here.
COLLECTS: Final = "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;"

_CONFIG: Final = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log {folder}/access.log;
  map $http_upgrade $hop {{ default upgrade; '' ''; }}
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} {listens};
    {tls}
    location / {{ proxy_pass {url}; proxy_set_header Host $http_host; {proxies} }}
  }}
}}
"""


@contextlib.asynccontextmanager
async def nginx(folder: Path, url: str, proxies: str = "", *, http_2: bool = False) -> AsyncIterator[str]:
    """Its address. Skips where there is no nginx; on CI that is a failure.

    Args:
        proxies: Directives for the way to the node.
        http_2: Speaks HTTP/2 over TLS, with a certificate that nobody knows.
    """
    path = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if path is None:
        missing("nginx", "apt-get install nginx")
    assert path is not None
    folder.mkdir()
    port, tls = free_port(), ""
    if http_2:
        await _make_certificate(folder)
        tls = f"ssl_certificate {folder}/certificate.pem; ssl_certificate_key {folder}/key.pem;"
    listens = "ssl http2" if http_2 else ""
    config = _CONFIG.format(folder=folder, port=port, listens=listens, tls=tls, url=url, proxies=proxies)
    (folder / "nginx.conf").write_text(config)
    command = [path, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    process = await asyncio.create_subprocess_exec(*command)
    address = f"{'https' if http_2 else 'http'}://127.0.0.1:{port}"
    try:
        await _answers(address, process, folder / "error.log")
        yield address
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _make_certificate(folder: Path) -> None:
    if shutil.which("openssl") is None:
        missing("openssl", "apt-get install openssl")
    made = ("-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem"), "-days", "2")
    command = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", *made)
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=quiet)
    assert await process.wait() == 0


async def _answers(address: str, process: asyncio.subprocess.Process, log: Path) -> None:
    async with asyncio.timeout(DEADLINE_S), aiohttp.ClientSession() as session:
        while True:
            assert process.returncode is None, f"nginx has ended: {log.read_text()}"
            with contextlib.suppress(aiohttp.ClientConnectionError):
                async with session.get(f"{address}/healthz", ssl=False) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.02)  # between two tries to connect: there is nothing else to wait for
