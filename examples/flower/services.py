"""The services of the example: each a process of its own, and all of them together."""

import base64
import http.client
import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
STACK = HERE.parent.parent / "stack"
# The package's own script; the one on the PATH changes to a user who cannot read the private directory.
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
# Below the range from which Linux assigns ports, so that no other program is given one of these meanwhile.
PORTS = range(12_000, 32_000)
# The longest wait for a service; a busy machine takes several times as long as a quiet one.
PATIENCE_SECONDS = 120
# A worker finishes the tasks that it has begun, RabbitMQ takes some seconds to close.
GRACE_SECONDS = 30
LOOK_SECONDS = 0.1


class Failure(Exception):
    """An error message of one line."""


class Service:
    """A process in a session of its own, so that Ctrl-C reaches the command and not the services.

    The kernel ends the process when this script dies, for whatever reason.
    """

    def __init__(self, name, argv, directory, environment):
        self.name = name
        self.log = directory / "logs" / f"{name}.log"
        try:
            with open(self.log, "wb") as log:
                self.process = subprocess.Popen(
                    ["setpriv", "--pdeathsig", "TERM", "--", *map(str, argv)],
                    cwd=directory,
                    env={**os.environ, **environment},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        except OSError as error:
            raise Failure(f"{name}: setpriv (util-linux) cannot be run: {error}") from error

    def until(self, what, ready):
        """Waits until `ready()` is true."""
        begun = time.monotonic()
        while not ready():
            code = self.process.poll()
            if code is not None:
                raise Failure(f"{self.name} ended with {code} before {what}: {self.last_words()}")
            if time.monotonic() - begun > PATIENCE_SECONDS:
                raise Failure(f"{self.name}: gave up after waiting {PATIENCE_SECONDS} s until {what}: {self.last_words()}")
            time.sleep(LOOK_SECONDS)

    def last_words(self):
        """The end of its log as one line."""
        lines = self.log.read_text(errors="replace").split("\n")
        return " | ".join(line.strip() for line in lines[-8:] if line.strip()) or "its log is empty"

    def stop(self):
        """Asks it to end, and kills its whole session if it does not."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                say(f"{self.name} does not end and is killed")
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class Stack:
    """All services, in the order in which they were started."""

    def __init__(self, python, directory, options):
        self.python, self.directory, self.options = python, directory, options
        self.services, self.ports = [], set()
        self.broker = os.environ.get("BROKER_URL", "")
        (directory / "logs").mkdir()
        (directory / "results").mkdir()

    def start(self):
        scraped = []
        if not self.broker:
            scraped.append(self.start_rabbitmq())
        flower = self.start_flower()
        scraped.append({"targets": [flower.removeprefix("http://")], "labels": {"job": "flower"}})
        self.start_worker(flower)
        prometheus = self.start_prometheus(scraped)
        data = Path(os.environ.get("DATA") or self.directory / "data").resolve()
        addresses = {
            "TARGET": flower,
            "PROFILE": str(HERE / "profile.toml"),
            "PROM_URL": prometheus,
            "JAEGER_URL": "",
            "LOGS": str(self.directory / "logs"),
            "DATA": str(data),
            "WORKER_ROOT": str(data),
        }
        if self.options.auth:
            flag = f"--header-file '{self.directory / 'headers'}'"
            addresses |= {"IDLE_FLAGS": flag, "SUBMIT_FLAGS": flag, "POLL_FLAGS": flag}
        return addresses

    def stop(self):
        while self.services:
            self.services.pop().stop()

    def run(self, name, argv, environment=None):
        service = Service(name, argv, self.directory, environment or {})
        self.services.append(service)
        return service

    def port(self):
        """A free loopback port."""
        for port in random.sample(PORTS, len(PORTS)):
            with socket.socket() as taken:
                try:
                    taken.bind(("127.0.0.1", port))
                except OSError:
                    continue
            if port not in self.ports:
                self.ports.add(port)
                return port
        raise Failure("no free port on 127.0.0.1")

    def start_rabbitmq(self):
        """Starts the broker with a port mapper (epmd) of its own. Returns its scrape target for Prometheus."""
        if not RABBITMQ.is_file():
            raise Failure("RabbitMQ is not installed: `apt-get install rabbitmq-server` as root, or set BROKER_URL")
        home = self.directory / "rabbitmq"
        home.mkdir()
        mapper, amqp, distribution, metrics = (self.port() for _ in range(4))
        epmd = self.run("epmd", ["epmd", "-address", "127.0.0.1", "-port", mapper])
        epmd.until("it listens", lambda: listens(mapper))
        shutil.copy(STACK / "enabled_plugins", home)
        # If two lines have the same key, the later one counts.
        settings = (STACK / "rabbitmq.conf").read_text()
        settings += f"listeners.tcp.1 = 127.0.0.1:{amqp}\nprometheus.tcp.port = {metrics}\n"
        (home / "rabbitmq.conf").write_text(settings)
        (home / "empty.conf").touch()
        broker = self.run("rabbitmq", [RABBITMQ], {
            # The script then becomes the broker instead of staying its parent.
            "RUNNING_UNDER_SYSTEMD": "true",
            "HOME": str(home),
            "RABBITMQ_NODENAME": "stress@localhost",
            "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(home / "empty.conf"),
            "RABBITMQ_PID_FILE": str(home / "pid"),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(mapper),
        })
        url = f"http://127.0.0.1:{metrics}/metrics"
        broker.until("it takes connections and shows its metrics", lambda: listens(amqp) and asked(url) is not None)
        self.broker = f"amqp://guest:guest@127.0.0.1:{amqp}//"
        labels = {
            "job": "rabbitmq",
            "__metrics_path__": "/metrics/detailed",
            "__param_family": "queue_coarse_metrics",
        }
        return {"targets": [f"127.0.0.1:{metrics}"], "labels": labels}

    def celery(self, name, arguments, environment=None):
        return self.run(name, [self.python, "-m", "celery", "--app", "tasks", *arguments], {
            "BROKER_URL": self.broker,
            "RESULTS_URL": (self.directory / "results").as_uri(),
            "PYTHONPATH": str(HERE),
            "PYTHONDONTWRITEBYTECODE": "1",
            # Python logs local times without a time zone, and the capture reads them as UTC.
            "TZ": "UTC",
            **(environment or {}),
        })

    def start_flower(self):
        if self.options.auth:
            user = f"stress:{secrets.token_urlsafe(24)}"
            value = base64.b64encode(user.encode()).decode()
            with open(self.directory / "headers", "w", opener=private) as headers:
                headers.write(f"Authorization: Basic {value}\n")
            access = {"FLOWER_BASIC_AUTH": user}
        else:
            access = {"FLOWER_UNAUTHENTICATED_API": "true"}
        url = f"http://127.0.0.1:{(port := self.port())}"
        flower = self.celery("flower", ["flower", "--address=127.0.0.1", f"--port={port}"], access)
        flower.until("it answers", lambda: asked(f"{url}/healthcheck") is not None)
        return url

    def start_worker(self, flower):
        worker = self.celery("celery-worker", [
            "worker", "--task-events", "--loglevel=INFO", "--hostname=worker@localhost",
            f"--concurrency={self.options.processes}", "--without-mingle", "--without-gossip",
        ])
        # Once Flower knows the worker, tasks can run and their events arrive.
        worker.until(
            "Flower knows it",
            lambda: 'flower_worker_online{worker="worker@localhost"} 1' in (asked(f"{flower}/metrics") or ""),
        )

    def start_prometheus(self, scraped):
        if not shutil.which("prometheus"):
            raise Failure("Prometheus is not installed: `apt-get install prometheus` as root")
        (self.directory / "targets.json").write_text(json.dumps(scraped))
        shutil.copy(STACK / "prometheus.yml", self.directory)
        url = f"http://127.0.0.1:{(port := self.port())}"
        prometheus = self.run("prometheus", [
            "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=samples", "--log.level=warn",
            f"--web.listen-address=127.0.0.1:{port}",
        ])
        names = [target["labels"]["job"] for target in scraped]

        def watches():
            answer = asked(f"{url}/api/v1/query?query=up%3D%3D1")
            up = json.loads(answer)["data"]["result"] if answer else []
            return all(any(series["metric"]["job"] == name for series in up) for name in names)

        prometheus.until(f"it has scraped {' and '.join(names)}", watches)
        return url


def say(text):
    print(f"start: {text}", file=sys.stderr, flush=True)


def private(path, flags):
    return os.open(path, flags, 0o600)


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def asked(url):
    """The text at `url`; none if the answer is not 200."""
    # Without the proxy in the environment, because everything is on this host.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as answer:
            return answer.read().decode()
    except (OSError, http.client.HTTPException):
        return None
