"""TensorZero's gateway as its Python package embeds it: an OpenAI-compatible HTTP server in this process.

python run_tensorzero.py CONFIG PORTFILE: writes the port that it listens on to PORTFILE.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from urllib.parse import urlsplit

from openai import AsyncOpenAI
from tensorzero import patch_openai_client


async def main() -> int:
    client = await patch_openai_client(AsyncOpenAI(api_key="x"), config_file=sys.argv[1])
    return urlsplit(str(client.base_url)).port or 0


with asyncio.Runner() as runner:
    Path(sys.argv[2]).write_text(str(runner.run(main())))
    runner.get_loop().run_forever()
