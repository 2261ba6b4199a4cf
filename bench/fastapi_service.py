"""A plain FastAPI service, as a good engineer would write it in an afternoon, to compare with.

FastAPI on two uvicorn workers, the async OpenAI client, aiosqlite: one connection a process, WAL,
every commit synced. It stores the applicant's message before it asks, as ours does; it has none of
the rest (retries joined, races, keys, deadlines), which costs ours time and this one nothing.

Run as a module, it creates the database, which must be there before the workers start.
"""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aiosqlite
from fastapi import FastAPI, HTTPException
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

SCHEMA = """
    CREATE TABLE IF NOT EXISTS messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT, content TEXT NOT NULL, date_created TEXT NOT NULL,
        role TEXT NOT NULL, access_key TEXT NOT NULL, name TEXT NOT NULL, email TEXT NOT NULL
    );
    CREATE INDEX IF NOT EXISTS messages_interview ON messages (access_key, name, email);
"""

client = AsyncOpenAI()
database: aiosqlite.Connection
one_at_a_time = asyncio.Lock()  # the connection is in the middle of one transaction at most


def create_database() -> None:
    """Make the file, before the workers start."""
    with sqlite3.connect(os.environ["DATABASE_PATH"]) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(SCHEMA)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    global database
    async with aiosqlite.connect(os.environ["DATABASE_PATH"], timeout=30) as database:
        await database.execute("PRAGMA synchronous = FULL")
        yield


app = FastAPI(lifespan=lifespan)


class Applicant(BaseModel):
    accessKey: str  # noqa: N815  # the contract's own
    name: str
    email: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.accessKey, self.name, self.email


class Start(Applicant):
    prompt: str


class Reply(Applicant):
    message: str


async def store(applicant: Applicant, *messages: tuple[str, str]) -> None:
    now = datetime.now(UTC).isoformat()
    async with one_at_a_time:
        await database.executemany(
            "INSERT INTO messages (role, content, date_created, access_key, name, email)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [(role, content, now, *applicant.key) for role, content in messages],
        )
        await database.commit()


async def history(applicant: Applicant) -> list[tuple[str, str]]:
    async with one_at_a_time:
        rows = await database.execute_fetchall(
            "SELECT role, content FROM messages"
            " WHERE access_key = ? AND name = ? AND email = ? ORDER BY id",
            applicant.key,
        )
    return [(role, content) for role, content in rows]


async def ask(messages: list[tuple[str, str]]) -> str:
    conversation: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": messages[0][1]},
    ]
    for role, content in messages[1:]:
        if role == "user":
            conversation.append({"role": "user", "content": content})
        else:
            conversation.append({"role": "assistant", "content": content})
    completion = await client.chat.completions.create(model="gpt-4o-mini", messages=conversation)
    return completion.choices[0].message.content or ""


@app.post("/start_interview")
async def start_interview(start: Start) -> dict[str, str]:
    if await history(start):
        raise HTTPException(400, "Interview already started or exists for this user")
    opening = await ask([("system", start.prompt)])
    await store(start, ("system", start.prompt), ("system", opening))
    return {"status": "Interview has started", "system": opening}


@app.post("/reply")
async def reply(reply: Reply) -> dict[str, str]:
    await store(reply, ("user", reply.message))
    messages = await history(reply)
    if len(messages) < 2:
        raise HTTPException(404, "Cannot reply, no interview history found.")
    answer = await ask(messages)
    await store(reply, ("system", answer))
    return {"system": answer}


if __name__ == "__main__":
    create_database()
