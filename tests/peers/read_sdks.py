"""SDKs of Python read chat completions, in a process of their own: they warn, and leave sockets open.

``python read_sdks.py <client> <base URL> <request as JSON: schema, or null> <model> ...`` prints one line for each
model: what was read, and what was raised.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

GO = [{"role": "user", "content": "go"}]
Read = dict[str, Any]


class ErrorChunk(Exception):
    """The client gave an error out as it gives chunks."""


class ExitCode(Exception):
    """The command failed."""


def _format(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "test", "strict": True, "schema": schema}}


def _asked(schema: Any, *, with_tool: bool) -> dict[str, Any]:
    if with_tool:
        return {"tools": [{"type": "function", "function": {"name": "save", "parameters": schema}}]}
    return {"response_format": _format(schema)} if schema is not None else {}


async def _langchain(read: Read, base_url: str, model: str, schema: Any) -> None:
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(base_url=base_url, api_key="any", model=model, max_retries=0, stream_usage=True)
    total: Any = None
    async for one in chat.astream("go", **_asked(schema, with_tool="tools" in model)):
        total = one if total is None else total + one
        read["text"] = total.text
    read["finish"] = total.response_metadata["finish_reason"]
    read["tokens"] = total.usage_metadata["total_tokens"]
    read["calls"] = {str(at): json.dumps(call["args"]) for at, call in enumerate(total.tool_calls)}


async def _litellm(read: Read, base_url: str, model: str, schema: Any) -> None:
    import litellm

    litellm.suppress_debug_info = True  # it prints advice where we print lines

    asked = _asked(schema, with_tool="tools" in model)
    options = {"api_base": base_url, "api_key": "any", "max_retries": 0, "stream_options": {"include_usage": True}}
    calls: dict[str, str] = {}
    async for one in await litellm.acompletion(f"openai/{model}", GO, stream=True, **options, **asked):
        for choice in one.choices:
            read["text"] += choice.delta.content or ""
            read["finish"] = choice.finish_reason or read.get("finish")
            for call in choice.delta.tool_calls or ():
                calls[str(call.index)] = calls.get(str(call.index), "") + (call.function.arguments or "")
        if getattr(one, "usage", None):
            read["tokens"] = one.usage.total_tokens
    read["calls"] = calls


async def _pydantic_ai(read: Read, base_url: str, model: str, schema: Any) -> None:
    import openai
    import pydantic_ai
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    client = openai.AsyncOpenAI(base_url=base_url, api_key="any", max_retries=0)
    chat = OpenAIChatModel(model, provider=OpenAIProvider(openai_client=client))
    kind = pydantic_ai.StructuredDict(schema, name="save")
    output: Any = pydantic_ai.ToolOutput(kind, name="save") if "tools" in model else pydantic_ai.NativeOutput(kind)
    agent = pydantic_ai.Agent(chat, output_type=output, retries=0)
    async with agent.run_stream("go") as result:
        async for value in result.stream_output(debounce_by=None):
            read["last"] = value
        usage = result.usage
        read["tokens"] = (usage() if callable(usage) else usage).total_tokens
    read["value"] = read.pop("last")


async def _openai(read: Read, base_url: str, model: str, schema: Any) -> None:
    import openai

    asked = _asked(schema, with_tool="tools" in model)
    calls: dict[str, str] = {}
    async with openai.AsyncOpenAI(base_url=base_url, api_key="any", max_retries=0) as client:
        options: Any = {"stream_options": {"include_usage": True}, **asked}
        async for one in await client.chat.completions.create(model=model, messages=GO, stream=True, **options):
            for choice in one.choices:
                read["text"] += choice.delta.content or ""
                read["refusal"] = choice.delta.refusal or read.get("refusal")
                read["finish"] = choice.finish_reason or read.get("finish")
                for call in choice.delta.tool_calls or ():
                    calls[str(call.index)] = calls.get(str(call.index), "") + (call.function.arguments or "")
            if one.usage is not None:
                read["tokens"] = one.usage.total_tokens
    read["calls"] = calls


async def _openrouter(read: Read, base_url: str, model: str, schema: Any) -> None:
    from openrouter import OpenRouter

    asked = _asked(schema, with_tool="tools" in model)
    calls: dict[str, str] = {}
    async with OpenRouter(api_key="any", server_url=base_url) as client:
        stream = await client.chat.send_async(model=model, messages=GO, stream=True, retries=None, **asked)
        async for one in stream:
            if one.error is not None:  # it gives errors out as it gives chunks
                raise ErrorChunk(one.error.message)
            for choice in one.choices:
                read["text"] += choice.delta.content or ""
                read["refusal"] = choice.delta.refusal or read.get("refusal")
                read["finish"] = choice.finish_reason or read.get("finish")
                for call in choice.delta.tool_calls or ():
                    calls[str(call.index)] = calls.get(str(call.index), "") + (call.function.arguments or "")
            if one.usage is not None:
                read["tokens"] = int(one.usage.total_tokens)
    read["calls"] = calls


async def _instructor(read: Read, base_url: str, model: str, schema: Any) -> None:
    import instructor
    import openai
    import pydantic

    # The model is asked for a list where its name says so; the tool is named as the answers of the tests name it.
    save = pydantic.create_model("save", name=(str, ...), age=(int, ...))
    mode = instructor.Mode.TOOLS if "tools" in model else instructor.Mode.JSON_SCHEMA
    client = instructor.from_openai(openai.AsyncOpenAI(base_url=base_url, api_key="any", max_retries=0), mode=mode)
    if "list" in model:
        values = [
            one.model_dump() async for one in client.create_iterable(response_model=save, messages=GO, model=model)
        ]
        read["value"] = values
        return
    async for value in client.create_partial(response_model=save, messages=GO, model=model):
        read["last"] = value.model_dump()
    read["value"] = read.pop("last", None)


async def _llm(read: Read, base_url: str, model: str, schema: Any) -> None:
    """The command, with the file in which it has models of others."""
    told = [{"model_id": model, "model_name": model, "api_base": base_url, "supports_schema": True}]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "extra-openai-models.yaml").write_text(json.dumps(told))
        asked = ("--schema", json.dumps(schema)) if schema is not None else ()
        command = (str(Path(sys.executable).with_name("llm")), "-m", model, *asked, "go")
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "LLM_USER_PATH": folder, "OPENAI_API_KEY": "any", "LLM_LOAD_PLUGINS": ""},
        )
        text, errors = await process.communicate()
    read["text"] = text.decode().removesuffix("\n")
    if process.returncode:
        raise ExitCode(errors.decode().strip())


CLIENTS = {
    "instructor": _instructor,
    "langchain": _langchain,
    "litellm": _litellm,
    "llm": _llm,
    "openai": _openai,
    "openrouter": _openrouter,
    "pydantic-ai": _pydantic_ai,
}


async def main(client: str, base_url: str, request: str, models: list[str]) -> None:
    for model in models:
        read: Read = {"text": "", "raised": None}
        try:
            await CLIENTS[client](read, base_url, model, json.loads(request)["schema"])
        except Exception as error:  # whatever an SDK raises is what a test asks for
            read |= {"raised": type(error).__name__, "message": str(error)[:300]}
        print(json.dumps(read), flush=True)


if __name__ == "__main__":
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks the network at import
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]))
