"""What the producer sends is what Pulsar's own clients for Java and Python receive."""

from __future__ import annotations

import base64
import json
import random
import time
from typing import Any

import pulsar
import pytest

from producer import Message, Producer, assert_stored_once, numbered
from servers import Pulsar, wait_for
from test_crash import seeded
from topic import Reader, by_item
from witness import Refused, Witness

CODECS = ["none", "lz4", "zlib", "zstd", "snappy"]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def values(chance: random.Random) -> list[bytes]:
    """What compresses well, badly and not at all."""
    return [
        b"",
        b"x",
        b"abc" * 20_000,
        chance.randbytes(50_000),
        "Zürich 鍵 😀".encode() * 10,
        *(json.dumps({"number": number, "text": "the same again"}).encode() for number in range(100)),
        *(chance.randbytes(chance.randrange(200)) for _ in range(50)),
    ]


@pytest.mark.parametrize("batching", ["default", "none"])
def test_every_codec_is_understood(
    producer: Producer, witness: Witness, client: pulsar.Client, name: str, batching: str
) -> None:
    sent = values(seeded())
    for codec in CODECS:
        topic = f"{name}-{codec}"
        messages = [{"key": "k", "valueBase64": b64(value)} for value in sent]
        producer.send(messages, topic=topic, compression=codec, batching=batching, batch_bytes=60_000)
        assert [message["data"] for message in witness.read(topic, len(sent))] == sent, codec
        stored = Reader(client, topic).read_to_end()
        assert [message.value for message in stored] == sent, codec
        batches = len({message.position for message in stored})
        assert batches == len(sent) if batching == "none" else batches < len(sent)


MEMBERS: dict[str, Message] = {
    "plain": {"value": "v"},
    "key": {"key": "k", "value": "v"},
    "empty key": {"key": "", "value": "v"},
    "other scripts": {"key": "Zürich 鍵 😀", "value": "Zürich 鍵 😀"},
    "base64 key": {"key": b64(b"\x00\xff key"), "keyIsBase64": True, "value": "v"},
    "binary key": {"binaryKey": b64(b"\x00\xff key"), "value": "v"},
    "ordering key": {"key": "k", "orderingKey": "ö", "value": "v"},
    "event time": {"eventTime": 1_700_000_000_123, "value": "v"},
    "properties": {"properties": {"a": "1", "ä": "鍵", "": "empty name", "empty value": ""}, "value": "v"},
    "no value": {"key": "k", "value": None},
    "empty value": {"key": "k", "value": ""},
    "large": {"key": "k", "value": "x" * 3_000_000},
}


@pytest.mark.parametrize("batching", ["default", "key-based", "none"])
def test_every_member_of_a_message_arrives(producer: Producer, witness: Witness, name: str, batching: str) -> None:
    started = int(time.time() * 1000)
    run = producer.start(batching=batching)
    for what, message in MEMBERS.items():
        run.send([{**message, "properties": {**message.get("properties", {}), "what": what}}])
    run.finish()
    got = {message["properties"].pop("what"): message for message in witness.read(name, len(MEMBERS))}
    assert got.keys() == MEMBERS.keys()
    for what, sent in MEMBERS.items():
        message = got[what]
        key = sent.get("key", sent.get("binaryKey"))
        assert message["hasKey"] == (key is not None), what
        if key is not None:
            binary = "binaryKey" in sent or "keyIsBase64" in sent
            assert message["key"] == key, what
            assert message["keyIsBase64"] == binary, what
            assert message["keyBytes"] == (base64.b64decode(key) if binary else key.encode()), what
        ordering_key = sent.get("orderingKey")
        assert message["orderingKey"] == (ordering_key.encode() if ordering_key else None), what
        assert message["eventTime"] == sent.get("eventTime", 0), what
        assert message["properties"] == sent.get("properties", {}), what
        assert message["isNull"] == (sent["value"] is None), what
        assert (message["data"] or b"") == (sent["value"] or "").encode(), what
        assert started <= message["publishTime"] <= time.time() * 1000, what
        assert message["producer"] == run.event("ready")["producers"][0]["name"]


def test_the_broker_shows_who_produces(producer: Producer, broker: Pulsar, name: str) -> None:
    run = producer.start(name="by its name", property="stream=orders, all of them")
    run.send(numbered(0, 1, 1))
    run.wait_receipts(1)
    (publisher,) = json.loads(broker.admin("GET", f"persistent/public/default/{name}/stats"))["publishers"]
    assert publisher["producerName"] == "by its name"
    assert publisher["metadata"] == {"stream": "orders, all of them"}
    assert publisher["clientVersion"] == "test_produce"
    assert publisher["accessMode"] == "Shared"
    run.finish()


@pytest.mark.parametrize("compression", ["none", "lz4"])
def test_chunks_are_put_together(producer: Producer, witness: Witness, name: str, compression: str) -> None:
    """Around the broker's limit of 5 MiB and over it, between small ones, in order."""
    chance = seeded()
    limit = 5 * 1024 * 1024
    sizes = [10, limit - 100, 20, limit, limit + 1, 30, 12_000_000, 16_000_001, 40]
    sent = [b64(chance.randbytes(size))[:size].encode() for size in sizes]
    run = producer.start(chunking=True, compression=compression)
    run.send({"key": f"{size}", "value": value.decode()} for size, value in zip(sizes, sent))
    run.finish()
    got = witness.read(name, len(sizes))
    assert [message["key"] for message in got] == [str(size) for size in sizes]
    assert [message["data"] for message in got] == sent


def test_without_chunking_a_message_over_the_limit_is_refused(
    producer: Producer, client: pulsar.Client, name: str
) -> None:
    run = producer.start()
    limit = 5 * 1024 * 1024
    run.send({"value": "x" * size} for size in (10, limit, 20))
    run.end()
    assert sorted(run.receipts) == [0, 2] and sorted(run.undelivered) == [1]
    assert run.undelivered[1]["error"] == "PULSAR_TOO_LARGE"
    assert [len(message.value) for message in Reader(client, name).read_to_end()] == [10, 20]


ALPHABETS = [
    "abcdefghijklmnopqrstuvwxyz0123456789-_:/#",
    "äöüßéèñçøåþ",
    "鍵キー열쇠مفتاحключ",
    "😀🔑👩‍👩‍👧‍👦🏳️‍🌈𝄞𐍈",
    "\x01\x7f\x80\u2028\ufffd\uffff",
]


@pytest.mark.parametrize("hashing", ["murmur3", "java-string"])
def test_keys_are_routed_as_by_pulsars_java_client(
    producer: Producer, witness: Witness, broker: Pulsar, name: str, hashing: str
) -> None:
    chance = seeded()
    keys = ["", "a", "key", "my-key", "k1", "Zürich", "鍵", "😀"]
    while len(keys) < 10_000:
        alphabet = chance.choice([*ALPHABETS, "".join(ALPHABETS)])
        keys.append("".join(chance.choices(alphabet, k=chance.randrange(1, 40))))
    broker.create_topic(name, 7)
    run = producer.send(({"key": key, "value": "v"} for key in keys), hashing=hashing)
    scheme = {"murmur3": "Murmur3_32Hash", "java-string": "JavaStringHash"}[hashing]
    theirs = witness.route(name, scheme, keys)
    differing = [key for token, key in enumerate(keys) if run.receipts[token].partition != theirs[token]]
    assert not differing, f"{len(differing)} keys are routed differently: {differing[:10]}"
    assert set(theirs) == set(range(7))


def test_batches_by_key_keep_each_key_with_one_consumer_in_order(
    producer: Producer, client: pulsar.Client, name: str
) -> None:
    consumers = [
        client.subscribe(name, "pair", consumer_type=pulsar.ConsumerType.KeyShared, consumer_name=f"consumer-{number}")
        for number in range(2)
    ]
    sent = list(numbered(0, 4_000, 30))
    # Few frames in flight and a long delay, so that there is something to batch.
    producer.send(sent, batching="key-based", batch_delay=50)
    got: list[list[tuple[str, str]]] = [[], []]

    def receive() -> bool:
        for consumer, messages in zip(consumers, got):
            try:
                while True:
                    message = consumer.receive(50)
                    messages.append((message.partition_key(), message.data().decode()))
                    consumer.acknowledge(message)
            except pulsar.Timeout:
                pass
        return sum(map(len, got)) >= len(sent)

    wait_for("all messages", receive)
    for consumer in consumers:
        consumer.close()
    first, second = by_item(got[0]), by_item(got[1])
    assert not first.keys() & second.keys()
    assert len(first) > 0 and len(second) > 0
    assert {**first, **second} == by_item((message["key"], message["value"]) for message in sent)

    stored = Reader(client, name).read_to_end()
    assert_stored_once(sent, stored)
    batches = by_item((str(message.position), message.key) for message in stored)
    assert all(len(set(keys)) == 1 for keys in batches.values())
    assert len(batches) < len(sent)


ORDER = json.dumps(
    {
        "type": "record",
        "name": "Order",
        "fields": [{"name": "id", "type": ["null", "string"], "default": None}, {"name": "total", "type": "long"}],
    }
)


def avro_order(order: dict[str, Any]) -> bytes:
    """Avro's binary form of ORDER."""

    def long(number: int) -> bytes:
        zigzag = (number << 1) ^ (number >> 63)
        out = bytearray()
        while zigzag > 0x7F:
            out.append(zigzag & 0x7F | 0x80)
            zigzag >>= 7
        return bytes([*out, zigzag])

    text = order["id"].encode()
    return long(1) + long(len(text)) + text + long(order["total"])


ORDERS = [{"id": "first", "total": 1}, {"id": "Zürich", "total": -300}, {"id": "", "total": 1 << 60}]
JSON_ORDERS = [json.dumps(order) for order in ORDERS]


@pytest.mark.parametrize("kind", ["string", "json", "avro", "inline", "separated"])
def test_a_schema_is_registered_and_used_by_readers(
    producer: Producer, witness: Witness, broker: Pulsar, name: str, kind: str
) -> None:
    pair = {"key_schema_type": "string", "value_schema_type": "json", "value_schema_data": ORDER, "key_encoding": kind}
    options: dict[str, Any]
    messages: list[Message]
    expected: list[Any]
    if kind == "string":
        options = {"schema_type": kind}
        messages = [{"value": text} for text in JSON_ORDERS]
        expected = list(JSON_ORDERS)
    elif kind == "json":
        options = {"schema_type": kind, "schema_data": ORDER}
        messages = [{"value": text} for text in JSON_ORDERS]
        expected = list(ORDERS)
    elif kind == "avro":
        options = {"schema_type": kind, "schema_data": ORDER}
        messages = [{"valueBase64": b64(avro_order(order))} for order in ORDERS]
        expected = list(ORDERS)
    else:
        options = pair
        keys = ["k1", "Zürich", "鍵"]
        expected = [[key, order] for key, order in zip(keys, ORDERS)]
        if kind == "inline":
            messages = [{"inlineKey": key, "value": text} for key, text in zip(keys, JSON_ORDERS)]
        else:
            messages = [{"binaryKey": b64(key.encode()), "value": text} for key, text in zip(keys, JSON_ORDERS)]
    producer.send(messages, **options)

    registered = json.loads(broker.admin("GET", f"schemas/public/default/{name}/schema"))
    assert registered["version"] == 0
    if kind in ("inline", "separated"):
        assert registered["type"] == "KEY_VALUE"
        assert registered["properties"]["kv.encoding.type"] == kind.upper()
        data = json.loads(registered["data"])
        assert data["value"] == json.loads(ORDER)
    else:
        assert registered["type"] == kind.upper()
        if kind != "string":
            assert json.loads(registered["data"]) == json.loads(ORDER)

    for reader_schema in (kind, "auto"):
        got = witness.read(name, len(messages), reader_schema)
        assert [message["value"] for message in got] == expected, reader_schema
        assert {message["schemaVersion"] for message in got} == {bytes(8)}


def test_a_schema_may_get_a_newer_version(producer: Producer, witness: Witness, name: str) -> None:
    """Each message carries the version of the schema with which it was written."""
    newer = json.loads(ORDER)
    newer["fields"].append({"name": "note", "type": "string", "default": ""})
    for schema in (ORDER, json.dumps(newer), ORDER):
        producer.send([{"value": JSON_ORDERS[0]}], schema_type="json", schema_data=schema)
    versions = [message["schemaVersion"] for message in witness.read(name, 3, "json")]
    assert versions == [(number).to_bytes(8, "big") for number in (0, 1, 0)]


def test_a_schema_that_does_not_fit_is_refused(producer: Producer, name: str) -> None:
    producer.send([{"value": JSON_ORDERS[0]}], schema_type="json", schema_data=ORDER)
    other = ORDER.replace('"long"', '"string"')
    run = producer.start(schema_type="json", schema_data=other)
    assert run.wait(30) == 4
    (failed,) = run.all("failed")
    assert failed["error"] == "PULSAR_REFUSED", failed
    assert "ncompatible" in failed["text"]


def test_a_message_without_value_ends_its_key_in_a_compacted_topic(
    producer: Producer, broker: Pulsar, witness: Witness, name: str
) -> None:
    updates = list(numbered(0, 200, 20))
    gone = [{"key": f"key-{number}", "value": None} for number in range(0, 20, 2)]
    producer.send([*updates, *gone])
    path = f"persistent/public/default/{name}/compaction"
    broker.admin("PUT", path)
    wait_for("the compaction", lambda: json.loads(broker.admin("GET", path))["status"] == "SUCCESS")
    left = {message["key"]: message["data"].decode() for message in witness.read(name, 10, compacted=True)}
    assert left == {f"key-{number}": str(180 + number) for number in range(1, 20, 2)}


def test_a_delayed_message_comes_when_it_is_due(producer: Producer, client: pulsar.Client, name: str) -> None:
    consumer = client.subscribe(name, "patient", consumer_type=pulsar.ConsumerType.Shared)
    due_ms = int(time.time() * 1000) + 3_000
    messages = [{"value": "1"}, {"value": "delayed", "deliverAt": due_ms}, {"value": "2"}]
    run = producer.send(messages, batch_delay=500)
    assert [len(event["tokens"]) for event in run.all("receipt")] == [1, 1, 1]
    received = []
    for _ in messages:
        message = consumer.receive(20_000)
        received.append((message.data().decode(), time.time() * 1000))
        consumer.acknowledge(message)
    consumer.close()
    assert [value for value, _ in received] == ["1", "2", "delayed"]
    # The broker counts in steps of a second, and may be early by one.
    assert received[2][1] >= due_ms - 1_000


# ---- one writer at a time


def failed(producer: Producer, **options: Any) -> str:
    run = producer.start(**options)
    run.wait(30)
    assert not run.all("ready")
    (event,) = run.all("failed")
    error: str = event["error"]
    return error


def test_a_java_producer_that_is_alone_stays_alone(producer: Producer, witness: Witness, name: str) -> None:
    witness.ask("open", id=name, topic=name, accessMode="Exclusive")
    assert failed(producer, access_mode="exclusive") == "PULSAR_FENCED"
    assert failed(producer, create_timeout=1_500) == "PULSAR_BUSY"
    waiting = producer.start(access_mode="wait-for-exclusive")
    waiting.send([{"value": "after"}])
    witness.ask("send", id=name)
    assert not waiting.all("ready")
    witness.ask("close", id=name)
    waiting.event("ready")
    waiting.finish()
    assert [message["data"] for message in witness.read(name, 2)] == [b"\x01", b"after"]


def test_a_java_producer_can_be_thrown_out(producer: Producer, witness: Witness, name: str) -> None:
    witness.ask("open", id=name, topic=name, accessMode="Exclusive")
    run = producer.start(access_mode="exclusive-with-fencing")
    run.send([{"value": "ours"}])
    run.wait_receipts(1)
    with pytest.raises(Refused, match="Fenced"):
        witness.ask("send", id=name)
    run.finish()
    assert [message["data"] for message in witness.read(name, 1)] == [b"ours"]


def test_alone_until_a_java_producer_throws_us_out(producer: Producer, witness: Witness, name: str) -> None:
    run = producer.start(access_mode="exclusive")
    run.send([{"value": "ours"}])
    run.wait_receipts(1)
    with pytest.raises(Refused, match="Fenced"):
        witness.ask("open", id=name, topic=name, accessMode="Exclusive")
    witness.ask("open", id=name, topic=name, accessMode="ExclusiveWithFencing")
    run.send([{"value": "too late"}])
    assert run.wait(30) == 4
    assert run.all("failed")[0]["error"] == "PULSAR_FENCED"
    assert list(run.undelivered) == [1]
    witness.ask("close", id=name)
    assert [message["data"] for message in witness.read(name, 1)] == [b"ours"]
