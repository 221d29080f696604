"""One Annul for all end-to-end tests: real Kafka and PostgreSQL, every worker a process, providers behind HTTP."""

from collections.abc import AsyncIterator

import pytest
from kit.client import ForeignClient

from workers.demo.running import RunningAnnul

SETTINGS = {
    "ANNUL_CHAT_OPEN_FOR": "PT6S",
    "ANNUL_KAFKA_SESSION_TIMEOUT_S": "6",
    "ANNUL_PROVIDER_DEADLINE_S": "2",
    "ANNUL_REFUND_LEASE_S": "5",
    "ANNUL_REFUND_RETRY_BASE_S": "0.3",
    "ANNUL_REFUND_RETRY_MAX_S": "2",
    "ANNUL_REFUND_LOOK_UP_BASE_S": "0.5",
    "ANNUL_REFUND_LOOK_UP_MAX_S": "2",
    "ANNUL_REFUND_PENDING_LOOK_UP_S": "0.5",
    "ANNUL_REFUND_LONGEST_STALL_S": "2",
    "ANNUL_PROVIDER_CONCURRENCY": "8",
}
SIMULATION = {"latency-ms": "5", "settle-after-s": "1", "hang-s": "6", "slow-s": "1.5", "retry-after-s": "1"}


@pytest.fixture(scope="session")
async def annul() -> AsyncIterator[RunningAnnul]:
    """Everything runs."""
    async with RunningAnnul("test", SETTINGS, simulation=SIMULATION) as running:
        yield running


@pytest.fixture
async def client(annul: RunningAnnul) -> AsyncIterator[ForeignClient]:
    """A stranger with a Kafka client, who knows the contract only."""
    async with ForeignClient(annul.stack.bootstrap) as foreign:
        yield foreign
