"""What a decision asks to be sent, now or later."""

from datetime import datetime

import msgspec

from schemas.base import Message
from schemas.topics import Topic
from workers.domain.ids import derived


class Emission(msgspec.Struct, frozen=True):
    """A message to be sent: where, by which key, under which id, and what."""

    topic: str
    key: str
    type: str
    id: str
    time: datetime
    data: Message


class Later(msgspec.Struct, frozen=True):
    """A message to be sent when due. A later one under the same `schedule_id` takes its place.

    `subject` is what it waits for, so that people find it: a refund id or a conversation id.
    """

    schedule_id: str
    subject: str
    due_at: datetime
    revision: int
    emission: Emission


def emission(topic: Topic, key: str, type_: str, data: Message, now: datetime, *cause: str) -> Emission:
    """An emission whose id follows from its type and `cause`."""
    assert type_ in topic.types, f"{type_} is not a type of {topic.name}"
    return Emission(topic.name, key, type_, derived("msg", type_, *cause), now, data)
