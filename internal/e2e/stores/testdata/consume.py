"""Prints "KEY VALUE" of every committed record of a topic, partition by partition. Usage: consume.py BROKERS TOPIC
[MECHANISM USER CA-FILE]; the password stands in the environment as KAFKA_PASSWORD."""
import os
import sys

from kafka import KafkaConsumer, TopicPartition

secure = {}
if len(sys.argv) > 3:
    secure = dict(security_protocol="SASL_SSL", sasl_mechanism=sys.argv[3], sasl_plain_username=sys.argv[4],
                  ssl_cafile=sys.argv[5], sasl_plain_password=os.environ["KAFKA_PASSWORD"])
consumer = KafkaConsumer(bootstrap_servers=sys.argv[1].split(","), isolation_level="read_committed",
                         auto_offset_reset="earliest", enable_auto_commit=False, **secure)
parts = [TopicPartition(sys.argv[2], p) for p in sorted(consumer.partitions_for_topic(sys.argv[2]))]
consumer.assign(parts)
consumer.seek_to_beginning(*parts)
ends = consumer.end_offsets(parts)
while any(consumer.position(p) < ends[p] for p in parts):
    for records in consumer.poll(timeout_ms=1000).values():
        for r in records:
            print(r.key.decode(), r.value.decode())
