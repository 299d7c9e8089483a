"""A process that takes as long as its input says, and fails if that is negative."""

import time

from pygeoapi.process.base import BaseProcessor, ProcessorExecuteError

METADATA = {
    "version": "1.0.0",
    "id": "work",
    "title": "Work",
    "description": "Takes some time.",
    "jobControlOptions": ["async-execute"],
    "keywords": [],
    "links": [],
    "inputs": {
        "seconds": {"title": "Seconds", "schema": {"type": "number"}, "minOccurs": 1, "maxOccurs": 1},
    },
    "outputs": {"seconds": {"title": "Seconds", "schema": {"type": "number"}}},
}


class WorkProcessor(BaseProcessor):
    def __init__(self, definition):
        super().__init__(definition, METADATA)

    def execute(self, data, outputs=None):
        seconds = float(data["seconds"])
        if seconds < 0:
            raise ProcessorExecuteError("no time is left")
        time.sleep(seconds)
        return "application/json", {"seconds": seconds}
