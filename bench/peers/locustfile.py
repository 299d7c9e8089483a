"""Submits a job and asks for it every 100 ms until it has ended; each user does so until enough jobs were submitted."""

import os
from itertools import count

import gevent
from locust import HttpUser, constant, task

JOBS = int(os.environ["JOBS"])
submitted, finished = count(1), count(1)


class Submitter(HttpUser):
    wait_time = constant(0)

    @task
    def job(self):
        if next(submitted) > JOBS:
            # The user waits for the others; the last of them ends the run.
            gevent.sleep(3600)
        job = self.client.post("/jobs").json()["id"]
        while True:
            gevent.sleep(0.1)
            if self.client.get(f"/jobs/{job}", name="job").json()["status"] == "done":
                break
        if next(finished) == JOBS:
            # Ending the run ends its users. One that did so itself would be ended before it had ended the run.
            gevent.spawn(self.environment.runner.quit)
