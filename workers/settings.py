"""Settings come from the environment, each with the prefix ANNUL_. A bad one stops the start with one line."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from annotated_types import Ge, Gt, Le
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from workers.domain.policy import ChatPolicy, Policy, RefundPolicy
from workers.pipeline.kafka_settings import KafkaSettings

PREFIX = "ANNUL_"
_LAST_PORT = 65_535
Port = Annotated[int, Ge(0), Le(_LAST_PORT)]
Seconds = Annotated[float, Gt(0), Le(86_400)]
PositiveDuration = Annotated[timedelta, Gt(timedelta(0)), Le(timedelta(days=366))]


class SettingsError(Exception):
    """A setting is bad or missing; the text is one line that names it."""


class Settings(BaseSettings):
    """All settings of all workers. What only some need is checked when they start."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, env_ignore_empty=True)

    kafka_bootstrap_servers: str = ""
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ca_file: str | None = None
    kafka_session_timeout_s: Annotated[float, Ge(1), Le(30)] = 10.0
    database_url: SecretStr = SecretStr("")
    instance_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] | None = None
    topic_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{0,64}$")] = ""
    topic_partitions: Annotated[int, Ge(1), Le(1000)] = 8
    topic_replication_factor: Annotated[int, Ge(1), Le(9)] = 3

    chat_open_for: PositiveDuration = timedelta(days=7)
    help_url: str | None = None

    stripe_api_base: str = "https://api.stripe.com"
    stripe_api_key: SecretStr | None = None
    stripe_webhook_secret: SecretStr | None = None
    paypal_api_base: str = "https://api-m.paypal.com"
    paypal_client_id: str | None = None
    paypal_client_secret: SecretStr | None = None
    paypal_webhook_id: str | None = None

    provider_deadline_s: Annotated[float, Gt(0), Le(60)] = 10.0
    provider_concurrency: Annotated[int, Ge(1), Le(1000)] = 64
    provider_probe_s: Annotated[float, Gt(0), Le(3600)] = 10.0
    refund_lease_s: Annotated[float, Gt(0), Le(600)] = 30.0
    refund_retry_base_s: Seconds = 1.0
    refund_retry_max_s: Seconds = 300.0
    refund_give_up_after: PositiveDuration = timedelta(days=5)
    refund_look_up_base_s: Seconds = 5.0
    refund_look_up_max_s: Seconds = 300.0
    refund_pending_look_up_s: Seconds = 3600.0
    refund_longest_stall_s: Annotated[float, Gt(0), Le(3600)] = 600.0
    redirects: Literal["automatic", "ask"] = "automatic"
    approval_above: Annotated[int, Ge(0), Le(1_000_000_000)] = 500

    reconcile_every: PositiveDuration = timedelta(days=1)
    reconcile_lag_s: Annotated[float, Ge(0), Le(7 * 86_400)] = 21_600.0
    reconcile_sample: Annotated[int, Ge(0), Le(10_000)] = 100

    sellers_check_every: PositiveDuration = timedelta(hours=1)

    batch_records: Annotated[int, Ge(1), Le(10_000)] = 1_000
    stuck_after_s: Seconds = 60.0
    health_host: str = "127.0.0.1"
    health_port: Port = 0
    ops_host: str = "127.0.0.1"
    ops_port: Port = 8080
    ops_users_file: str | None = None
    ops_behind_tls: bool = False
    ops_url: str | None = None
    ops_oidc_issuer: str | None = None
    ops_oidc_client_id: str | None = None
    ops_oidc_client_secret: SecretStr | None = None
    ops_oidc_name_claim: Annotated[str, Field(min_length=1, max_length=128)] = "sub"
    ops_oidc_roles_claim: Annotated[str, Field(min_length=1, max_length=128)] = "groups"
    ops_oidc_viewers: Annotated[str, Field(min_length=1, max_length=128)] = "annul-viewers"
    ops_oidc_operators: Annotated[str, Field(min_length=1, max_length=128)] = "annul-operators"
    ops_oidc_approvers: Annotated[str, Field(min_length=1, max_length=128)] = "annul-approvers"
    ops_session_idle: PositiveDuration = timedelta(hours=2)
    ops_session_longest: PositiveDuration = timedelta(hours=12)
    webhooks_host: str = "127.0.0.1"
    webhooks_port: Port = 8081
    webhooks_per_s: Annotated[float, Gt(0), Le(100_000)] = 200.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    traces_endpoint: str | None = None
    traces_ratio: Annotated[float, Ge(0), Le(1)] = 0.01

    @field_validator("stripe_api_base", "paypal_api_base", "help_url", "ops_url")
    @classmethod
    def _is_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value.rstrip("/") if value else value

    @field_validator("stripe_api_base", "paypal_api_base")
    @classmethod
    def _is_base(cls, value: str) -> str:
        parts = urlsplit(value)
        if not parts.hostname or parts.path or parts.query:
            raise ValueError("must be a base URL with a host and without a path")
        return value

    @field_validator("traces_endpoint")
    @classmethod
    def _is_endpoint(cls, value: str | None) -> str | None:
        """An OTLP endpoint in whole, be it given so or as its base."""
        parts = urlsplit(value or "")
        if value is None:
            return None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError("must be http://host:port or https://host:port")
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise ValueError("must hold no user, query or fragment; a key goes into OTEL_EXPORTER_OTLP_HEADERS")
        base = value.rstrip("/")
        return base if base.endswith("/v1/traces") else base + "/v1/traces"

    @field_validator("ops_oidc_issuer")
    @classmethod
    def _is_secure(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "https://none")
        local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost")
        if not parts.hostname or parts.query or parts.fragment or not (parts.scheme == "https" or local):
            raise ValueError("must be an https:// address (http:// on this machine alone)")
        return value

    @field_validator("database_url")
    @classmethod
    def _is_database(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        parts = urlsplit(text)
        if text and (parts.scheme not in ("postgresql", "postgres") or not (parts.hostname or parts.query)):
            raise ValueError("must be postgresql://user@host:port/name")
        if text and parts.hostname and "," not in parts.netloc:
            _ = parts.port  # raises ValueError that says what is wrong with it
        return value

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _are_servers(cls, value: str) -> str:
        for server in value.split(",") if value else ():
            host, _, port = server.strip().rpartition(":")
            if not host or not port.isdigit() or not 0 < int(port) <= _LAST_PORT:
                raise ValueError("must be host:port, several separated by commas")
        return value

    @field_validator("kafka_ca_file")
    @classmethod
    def _is_file(cls, value: str | None) -> str | None:
        if value is not None and not Path(value).is_file():
            raise ValueError("names no file")
        return value

    @classmethod
    def read(cls, more: Mapping[str, str] | None = None) -> Self:
        """From the environment, and before it from `more`, named alike. Raises SettingsError."""
        given = {name.removeprefix(PREFIX).lower(): value for name, value in (more or {}).items()}
        try:
            return cls(**given)  # type: ignore[arg-type]  # texts, as in the environment; pydantic reads them
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            name = PREFIX + "_".join(str(part) for part in first["loc"][:1]).upper()
            raise SettingsError(f"{name}: {first['msg'].removeprefix('Value error, ')}") from None

    def need_login(self) -> None:
        """Raises SettingsError where Kafka's protocol asks for a login that is not set."""
        if self.kafka_security_protocol.startswith("SASL"):
            self.need("kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password")

    def need(self, *names: str) -> None:
        """Raises SettingsError where one of the named settings is not set."""
        for name in names:
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                value = value.get_secret_value()
            if not value:
                raise SettingsError(f"{PREFIX}{name.upper()} is not set")

    def kafka(self, instance: str | None = None) -> KafkaSettings:
        """How to reach Kafka, as `instance` of a group."""
        return KafkaSettings(
            bootstrap_servers=self.kafka_bootstrap_servers,
            topic_prefix=self.topic_prefix,
            instance_id=instance,
            session_timeout_s=self.kafka_session_timeout_s,
            security_protocol=self.kafka_security_protocol,
            sasl_mechanism=self.kafka_sasl_mechanism,
            sasl_username=self.kafka_sasl_username,
            sasl_password=secret(self.kafka_sasl_password),
            ca_file=self.kafka_ca_file,
        )

    def policy(self) -> Policy:
        """The durations that the rules take. Raises SettingsError where two don't go together."""
        if self.provider_deadline_s >= self.refund_lease_s:
            raise SettingsError("ANNUL_REFUND_LEASE_S must be more than ANNUL_PROVIDER_DEADLINE_S")
        refunds = RefundPolicy(
            retry_base_s=self.refund_retry_base_s,
            retry_max_s=self.refund_retry_max_s,
            give_up_after=self.refund_give_up_after,
            lease_s=self.refund_lease_s,
            command_again_s=self.refund_lease_s * 1.5,
            look_up_base_s=self.refund_look_up_base_s,
            look_up_max_s=self.refund_look_up_max_s,
            pending_look_up_s=self.refund_pending_look_up_s,
            uncertain_limit=self.refund_give_up_after,
            gate_limit=self.refund_give_up_after,
            longest_stall=timedelta(seconds=self.refund_longest_stall_s),
            redirects_itself=self.redirects == "automatic",
        )
        return Policy(refunds=refunds, chats=ChatPolicy(open_for=self.chat_open_for))


def secret(value: SecretStr | None) -> str | None:
    """The text of a secret, for the client that needs it."""
    return value.get_secret_value() if value is not None else None
