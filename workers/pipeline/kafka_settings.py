"""How to reach Kafka, for every client of it."""

import ssl
from typing import Any

import msgspec


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach Kafka, and who this process is there."""

    bootstrap_servers: str
    topic_prefix: str = ""
    instance_id: str | None = None
    """Static membership: the same member after a restart. None: a new member each time."""
    session_timeout_s: float = 10.0
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: str | None = None
    ca_file: str | None = None

    def ssl_context(self) -> ssl.SSLContext | None:
        """For a protocol over TLS; certificates are checked against `ca_file`, or those of the system."""
        if self.security_protocol not in ("SSL", "SASL_SSL"):
            return None
        return ssl.create_default_context(cafile=self.ca_file)

    def no_late_records(self) -> dict[str, str]:
        """Settings of a compacted topic that one process at a time writes a key of.

        A process that stood still wakes with records on their way that were made before others took its place; the
        broker refuses them. Who is alive sends them again as made now. Needs clocks that agree within this time.
        """
        return {"message.timestamp.before.max.ms": str(int(self.session_timeout_s * 600))}

    def client(self) -> dict[str, Any]:
        """Arguments that every aiokafka client takes."""
        given: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers,
            "client_id": "annul",
            "security_protocol": self.security_protocol,
        }
        if (context := self.ssl_context()) is not None:
            given["ssl_context"] = context
        if self.sasl_mechanism is not None:
            given |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password,
            }
        return given
