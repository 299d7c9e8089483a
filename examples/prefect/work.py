"""A flow of two tasks with a deployment, and a worker that runs its flow runs, at most AT_ONCE of them at a time.

Prefect's own workers start a Python process for each flow run, which takes longer than the work here. This one calls the same engine
in threads. It prints the deployment's id once it waits for flow runs.
"""

import concurrent.futures
import os
import sys
import time

from prefect import flow, runtime, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.flow_engine import run_flow
from prefect.states import Pending


@task
def load(seconds: float):
    time.sleep(seconds / 4)


@task
def digest(seconds: float):
    if seconds < 0:
        raise ValueError("no time is left")
    time.sleep(seconds)


@flow(name="soak")
def soak(seconds: float):
    try:
        load(max(seconds, 0))
        digest(seconds)
    finally:
        # The server learns of tasks from events that come a moment late. Whoever asks it after the flow's end finds them.
        with get_client(sync_client=True) as client:
            own = FlowRunFilter(id={"any_": [runtime.flow_run.id]})
            while sum(task_run.end_time is not None for task_run in client.read_task_runs(flow_run_filter=own)) < 2:
                time.sleep(0.05)


def run(flow_run):
    # A failed flow run is on record at the server.
    run_flow(soak, flow_run=flow_run, parameters=flow_run.parameters, return_type="state")


def main():
    pool = concurrent.futures.ThreadPoolExecutor(int(os.environ.get("AT_ONCE", "4")))
    with get_client(sync_client=True) as client, pool:
        deployment = client.create_deployment(flow_id=client.create_flow(soak), name="local")
        print(deployment, flush=True)
        scheduled = FlowRunFilter(deployment_id={"any_": [deployment]}, state={"type": {"any_": ["SCHEDULED"]}})
        while True:
            for flow_run in client.read_flow_runs(flow_run_filter=scheduled):
                client.set_flow_run_state(flow_run.id, Pending())
                pool.submit(run, flow_run)
            time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
