"""Apache Kafka as a child process: one KRaft node on the loopback address."""

import asyncio
import shutil
import signal
from contextlib import suppress
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from workers.local import home
from workers.local.child import Child, clean_environment
from workers.local.home import StackFolder
from workers.local.kafka_files import JVM_OPTIONS, kafka_files
from workers.local.ports import LOOPBACK, free_port

_UP_WITHIN_S: Final = 60.0
_STOP_GRACE_S: Final = 15.0
_POLL_S: Final = 0.02

# Not to be found here: message.max.bytes. It stays at Kafka's default of 1 MiB; a topic may set max.message.bytes
# of its own, up to the 4 MiB which one replica fetch is allowed below.
_SETTINGS: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=CLIENT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=CLIENT://{host}:{port}
listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLIENT
log.dirs={log_dir}
auto.create.topics.enable=false
# One node has no second replica.
default.replication.factor=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# Few internal partitions: quick to create, and to check after a kill.
offsets.topic.num.partitions=8
transaction.state.log.num.partitions=8
share.coordinator.state.topic.num.partitions=4
# Groups form at once, and tests may lose a member quickly.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# A killed node may not come back before the session of its former self has run out: 9 s by default. Even beside
# sixteen busy loops and two that fsync, on two cores, no session of 2 s ran out on a living node.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=250
replica.fetch.max.bytes=4259840
# A quarter of the heap by default.
log.cleaner.dedupe.buffer.size=16777216
"""


class LocalKafka:
    """One broker with its data in the stack's folder; after stop or kill it starts again on the same port."""

    def __init__(self, folder: StackFolder, port: int = 0, *, jvm_options: tuple[str, ...] = JVM_OPTIONS) -> None:
        self._folder = folder
        self._jvm_options = jvm_options
        self._data = folder.path / "kafka"
        self._port = port or free_port()
        self._controller_port = free_port()
        self._cluster_id = ""
        self._child: Child | None = None

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self._port}"

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child and self._child.is_running else None

    async def start(self) -> None:
        """Returns when a client gets an answer."""
        if self._child:
            if self._child.is_running:
                return
            await self._child.wait()
        files = await kafka_files(self._folder)
        logs = self._data / "log"
        if not logs.exists():
            shutil.rmtree(self._data, ignore_errors=True)
            self._data.mkdir()
            self._cluster_id = files.copy_formatted(logs)
        settings = self._data / "server.properties"
        settings.write_text(
            _SETTINGS.format(
                host=LOOPBACK,
                port=self._port,
                controller_port=self._controller_port,
                log_dir=logs,
            )
        )
        # The compressors unpack native libraries there; after a kill /tmp would keep them.
        temporary = home.make_folder(self._data / "tmp")
        options = (*self._jvm_options, f"-Djava.io.tmpdir={temporary}")
        argv = files.java("kafka.Kafka", str(settings), options=options)
        self._child = await Child.start(self._folder, "kafka", argv, env=clean_environment(), cwd=self._data)
        await self._child.come_up(self._answers(), _UP_WITHIN_S)

    async def stop(self, *, discard: bool = False) -> None:
        """End it in order; `discard` when nobody wants the data any more."""
        if self._child:
            await self._child.stop(signal.SIGKILL if discard else signal.SIGTERM, _STOP_GRACE_S)

    def kill(self) -> None:
        """SIGKILL, as when the machine fails it."""
        if self._child:
            self._child.kill()

    async def _answers(self) -> None:
        # First a bare connection: aiokafka would log each failure as an error.
        for answers in (self._listens, self._is_ours):
            while not await answers():  # noqa: ASYNC110  no event tells of other processes
                await asyncio.sleep(_POLL_S)

    async def _listens(self) -> bool:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(LOOPBACK, self._port)
            writer.close()
            return True
        return False

    async def _is_ours(self) -> bool:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            await admin.start()
            found = await admin.describe_cluster()
            # Somebody else's broker on that port would answer too, while ours ends for want of it.
            return bool(found["brokers"]) and found["cluster_id"] == self._cluster_id
        except KafkaError:
            return False
        finally:
            await admin.close()
