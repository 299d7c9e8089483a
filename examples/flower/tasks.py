"""The tasks that the worker runs and that Flower publishes. Both import this module, so both have its settings."""

import hashlib
import os
import time

from celery import Celery

# The first bytes of every EBML document, which WebM is.
EBML = b"\x1a\x45\xdf\xa3"
CHUNK = 8 * 1024
# Stands for work on a chunk; a large file takes longer than a small one.
PAUSE_SECONDS = 0.15

app = Celery("tasks", broker=os.environ["BROKER_URL"], backend=os.environ["RESULTS_URL"])
app.conf.update(
    # Without it Flower knows nothing of a task until a worker takes it: a job that waits would be unknown (404).
    task_send_sent_event=True,
    # Events that Flower has not fetched are thrown away after this many seconds. At the default of 5 a Flower that is
    # busy for longer never hears that a task ended.
    event_queue_ttl=300,
    # A worker takes no more tasks than it has processes, so that tasks wait in RabbitMQ, where they can be counted.
    worker_prefetch_multiplier=1,
    task_acks_late=True,
)


@app.task
def digest(path):
    """The SHA-256 of the WebM file at `path`. Anything else is refused, which is how a job fails on demand."""
    with open(path, "rb") as file:
        start = file.read(len(EBML))
        if start != EBML:
            raise ValueError(f"{os.path.basename(path)} is not a WebM file: it begins with {start!r}")
        file.seek(0)
        hashed = hashlib.sha256()
        while chunk := file.read(CHUNK):
            hashed.update(chunk)
            time.sleep(PAUSE_SECONDS)
    return hashed.hexdigest()
