"""Prefect's server, whose transactions wait for one another.

On SQLite, Prefect begins a transaction as DEFERRED: it reads first, and if another transaction has written meanwhile, its own first
write fails at once and the request is answered with 503. That happens to most submissions while flow runs are at work. As IMMEDIATE
they take the write lock from the start.
"""

from prefect.server.api.server import create_app
from prefect.server.database.configurations import AioSqliteConfiguration

deferred = AioSqliteConfiguration.begin_transaction


def immediate(self, session, with_for_update=False):
    return deferred(self, session, with_for_update=True)


AioSqliteConfiguration.begin_transaction = immediate
app = create_app()
