"""Names of what spans tell: OpenTelemetry's where it has one, else ours. A test holds docs/traces.md to them.

Only ids, names out of fixed sets and numbers: no text that a person wrote, no amount, no header, no address with ids.
"""

from typing import Final

SYSTEM: Final = "messaging.system"
OPERATION_NAME: Final = "messaging.operation.name"
OPERATION_TYPE: Final = "messaging.operation.type"
DESTINATION: Final = "messaging.destination.name"
PARTITION: Final = "messaging.destination.partition.id"
OFFSET: Final = "messaging.kafka.offset"
GROUP: Final = "messaging.consumer.group.name"
MESSAGE_ID: Final = "messaging.message.id"
EVENT_TYPE: Final = "cloudevents.event_type"

METHOD: Final = "http.request.method"
STATUS: Final = "http.response.status_code"
ROUTE: Final = "http.route"
TEMPLATE: Final = "url.template"
PATH: Final = "url.path"
SCHEME: Final = "url.scheme"
SERVER: Final = "server.address"
PORT: Final = "server.port"

ERROR: Final = "error.type"

OUTCOME: Final = "annul.outcome"
BATCH: Final = "annul.batch_records"
PROVIDER: Final = "annul.provider"
ATTEMPT: Final = "annul.attempt"
LOOK_UP_NO: Final = "annul.look_up_no"
PROVIDER_CODE: Final = "annul.provider_code"
PROVIDER_REQUEST: Final = "annul.provider_request_id"
IDS: Final = ("order_id", "refund_id", "payout_id", "conversation_id")
"""Fields of a message that stand on its span, after `annul.`."""
