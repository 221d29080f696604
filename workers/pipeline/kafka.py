"""Kafka behind the broker's ports, by aiokafka."""

from workers.pipeline.kafka_consumer import KafkaConsumer, OffsetLostError
from workers.pipeline.kafka_producer import KafkaProducer, partition_of

__all__ = ["KafkaConsumer", "KafkaProducer", "OffsetLostError", "partition_of"]
