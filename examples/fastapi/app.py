"""A job API on FastAPI and uvicorn whose jobs take a known time, and which records what they really took.

Environment: WORKERS (jobs that run at once), WHOLE_SECONDS (times without a fraction), TRUTH (a file that gets one JSON
object for each job that ended: its id, the Unix time of its end and the monotonic lengths of its wait and its run), PORT_FILE
(a file that gets the port once the server listens).
"""

import asyncio
import json
import os
import socket
import time

import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

WORKERS = int(os.environ.get("WORKERS", "8"))
WHOLE_SECONDS = bool(os.environ.get("WHOLE_SECONDS"))
TRUTH = os.environ.get("TRUTH", os.devnull)

app = FastAPI()
jobs: dict[str, dict] = {}
running: set[asyncio.Task] = set()
slots = asyncio.Semaphore(WORKERS)


class Submission(BaseModel):
    input: str


def length(number):
    """From 0.30 s to 1.26 s, in steps that no poll interval shares."""
    return 0.3 + (number * 37 % 33) * 0.03


async def work(key, number, queued):
    job = jobs[key]
    async with slots:
        started = time.monotonic()
        job.update(status="running", started_at=time.time())
        await asyncio.sleep(length(number))
        ended = time.monotonic()
        job.update(status="done", ended_at=time.time())
    truth = {"id": key, "ended": job["ended_at"], "wait": started - queued, "run": ended - started}
    with open(TRUTH, "a", encoding="utf-8") as file:
        file.write(json.dumps(truth) + "\n")


@app.get("/health")
async def health():
    return {"workers": WORKERS}


@app.post("/jobs", status_code=202)
async def submit(submission: Submission):
    number = len(jobs) + 1
    key = f"job-{number}"
    jobs[key] = {"input": submission.input, "status": "queued", "queued_at": time.time()}
    task = asyncio.create_task(work(key, number, time.monotonic()))
    running.add(task)
    task.add_done_callback(running.discard)
    return {"id": key}


@app.get("/jobs/{key}")
async def poll(key: str):
    if key not in jobs:
        raise HTTPException(status_code=404)
    job = {"name": "work", "started_at": None, "ended_at": None, **jobs[key]}
    if WHOLE_SECONDS:
        job |= {name: int(value) for name, value in job.items() if name.endswith("_at") and value}
    return job


if __name__ == "__main__":
    listener = socket.socket()
    listener.bind(("127.0.0.1", int(os.environ.get("PORT", "0"))))
    # From now on connections wait until uvicorn accepts them.
    listener.listen(2048)
    config = uvicorn.Config(app, log_level="warning")
    with open(os.environ["PORT_FILE"], "w", encoding="utf-8") as file:
        file.write(f"{listener.getsockname()[1]}\n")
    uvicorn.Server(config).run(sockets=[listener])
