"""A service of several worker processes behind one address. Each process counts by itself, as the plain Prometheus client
does without its multiprocess mode, and a scrape sees whichever process answers it."""

import os

from prometheus_client import Counter, make_wsgi_app

TRANSITIONS = Counter("autorag_gpu_tenancy_transitions", "Changes of the GPU's tenant", ["from", "to"])
COUNTED = TRANSITIONS.labels("whisper", "llm")
# Processes that have been up for a while have counted different numbers of events.
COUNTED.inc(os.getpid() % 50)
metrics = make_wsgi_app()


def app(environ, start_response):
    """Counts an event at /work, and answers everything else with the metrics of this process."""
    if environ["PATH_INFO"] != "/work":
        return metrics(environ, start_response)
    COUNTED.inc()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"counted\n"]
