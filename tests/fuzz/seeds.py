#!/usr/bin/env python3
"""Writes the seeds: small inputs for the fuzz targets, made of what brokers really send.

    tests/fuzz/seeds.py            writes tests/fuzz/corpus/<target>/<name>

The encoding is written apart from src/pulsar, from the protocol's description. Files of other names in these folders,
which the fuzzer found, stay.
"""
import json
import pathlib
import struct

CORPUS = pathlib.Path(__file__).parent / "corpus"
MAX = 2**64 - 1


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def fields(*pairs):
    """Protobuf fields from (number, value): an int is a varint, text and bytes are length-delimited."""
    out = b""
    for number, value in pairs:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def command(number, *pairs):
    """A BaseCommand: its type is the number of its field."""
    return fields((1, number), (number, fields(*pairs)))


def frame(command, payload=b""):
    return struct.pack(">II", 4 + len(command) + len(payload), len(command)) + command + payload


def message_id(ledger, entry):
    return fields((1, ledger), (2, entry), (3, 0))


CONNECTED = command(3, (1, "Pulsar Server4.0.6"), (2, 21), (3, 5242880), (4, fields((1, 1), (5, 1))))
PARTITIONS = command(22, (1, 2), (2, 1), (3, 0))
LOOKUP = command(24, (1, "pulsar://127.0.0.1:6650"), (3, 1), (4, 2), (5, 1), (8, 0))
PRODUCER_SUCCESS = command(17, (1, 3), (2, "standalone-0-1"), (3, MAX), (4, b""), (6, 1))
RECEIPT = command(7, (1, 1), (2, 0), (3, message_id(12, 34)), (4, 9))
DUPLICATE = command(7, (1, 1), (2, 10), (3, message_id(MAX, MAX)))
CLOSE_PRODUCER = command(15, (1, 1), (2, MAX), (3, "pulsar://127.0.0.1:6651"), (4, "pulsar+ssl://127.0.0.1:6661"))
MIGRATED = command(68, (1, 1), (2, 0), (3, "pulsar://blue.example.com:6650"), (4, "pulsar+ssl://blue.example.com:6651"))
PING = command(18)

COMMANDS = {
    "connected": CONNECTED,
    "partitions": PARTITIONS,
    "partitions_failed": command(22, (2, 1), (3, 1), (4, 11), (5, "topic not found")),
    "lookup": LOOKUP,
    "lookup_redirect": command(24, (1, "pulsar://[::1]:6650"), (2, "pulsar+ssl://[::1]:6651"), (3, 0), (4, 2), (5, 0)),
    "lookup_proxy": command(24, (1, "pulsar://broker-1.internal:6650"), (3, 1), (4, 2), (5, 1), (8, 1)),
    "lookup_failed": command(24, (3, 2), (4, 2), (6, 6), (7, "not ready\n\tat org.example.Broker.lookup(Broker.java:1)")),
    "producer_success": PRODUCER_SUCCESS,
    "producer_waits": command(17, (1, 3), (2, ""), (6, 0)),
    "receipt": RECEIPT,
    "receipt_duplicate": DUPLICATE,
    "receipt_without_id": command(7, (1, 1), (2, 127)),
    "receipt_largest": command(7, (1, MAX), (2, MAX), (3, message_id(2**63 - 1, 2**63 - 1)), (4, MAX)),
    "receipt_type_last": fields((7, fields((1, 1), (2, 2))), (1, 7)),
    "receipt_twice": fields((1, 7), (7, fields((1, 1), (2, 2), (3, message_id(3, 4)))), (7, fields((1, 5), (2, 6)))),
    "receipt_half_an_id": command(7, (1, 1), (2, 2), (3, fields((1, 3)))),
    "receipt_unknown_fields": command(7, (9, 1), (1, 1), (10, "xy"), (2, 2)),
    "receipt_other_type": command(7, (1, "x"), (1, 1), (2, 2)),
    "send_error": command(8, (1, 1), (2, 9), (3, 2), (4, "org.example.ManagedLedgerException: bookie is gone")),
    "send_error_checksum": command(8, (1, 1), (2, 0), (3, 9), (4, "Checksum failed on the broker")),
    "error": command(14, (1, 3), (2, 16), (3, "Producer with name 'p' is already connected to topic")),
    "error_unknown": command(14, (1, 3), (2, 999), (3, "")),
    "error_encryption": command(14, (1, 3), (2, 1), (3, "Encryption is required in topic")),
    "success": command(13, (1, 4)),
    "close_producer": command(15, (1, 1), (2, MAX)),
    "close_producer_assigned": CLOSE_PRODUCER,
    "topic_migrated": MIGRATED,
    "auth_challenge": command(36, (1, "Pulsar Server4.0.6"), (2, fields((1, "token"), (2, "PulsarAuthRefresh"))), (3, 21)),
    "ping": PING,
    "pong": command(19),
    "unknown_command": command(66, (1, 7), (2, "of a later version")),
}


def frame_inputs():
    """how | amount | stop_after | room | bytes, see fuzz_frame.c."""

    def plan(data, split=0, amount=0, small=False, stop_after=0, room=0):
        return bytes([split | (4 if small else 0), amount, stop_after, room]) + data

    for name, bytes_of in COMMANDS.items():
        yield name, plan(frame(bytes_of), split=1)
    session = b"".join(map(frame, [CONNECTED, PARTITIONS, LOOKUP, PRODUCER_SUCCESS, RECEIPT, PING, DUPLICATE]))
    yield "session", plan(session)
    yield "session_bytes", plan(session, split=1)
    yield "session_equal", plan(session, split=2, amount=6)
    yield "session_random", plan(session, split=3, amount=40)
    yield "session_stopped", plan(session, split=3, amount=90, stop_after=3)
    yield "session_cut", plan(session[:-5], split=2, amount=16)
    yield "split_header", plan(frame(PING) + frame(PING), split=2, amount=2)
    yield "payload", plan(frame(PING, b"PAYLOAD") + frame(b"", b"x") + frame(b"") + frame(PING), split=3, amount=5)
    yield "at_limit", plan(frame(b"x" * 196) + frame(PING), small=True, split=2, amount=50)
    yield "over_limit", plan(frame(PING) + frame(b"x" * 197) + frame(PING), small=True, split=2, amount=50)
    yield "over_limit_large", plan(frame(PING) + struct.pack(">II", 65537, 5), split=1)
    yield "over_limit_largest", plan(struct.pack(">II", 2**32 - 1, 2**32 - 1))
    yield "no_room_for_command", plan(frame(PING) + struct.pack(">I", 3) + b"\0\0\0", split=1)
    yield "command_over_frame", plan(struct.pack(">II", 9, 6) + PING)
    yield "http", plan(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    yield "tls_alert", plan(bytes.fromhex("15030300020246"))
    yield "no_memory_for_size", plan(session[:6], room=2)
    yield "no_memory_within_size", plan(session, split=1, room=2)
    yield "no_memory_for_frame", plan(session, split=1, room=40)
    yield "nothing", b""


RECEIVE, RECEIVE_AND_TURN, WRITTEN, TIME, SEND, TURN, END, CALL = range(8)


def broker_inputs():
    """flags | limits | kinds | more | steps, see fuzz_broker.c."""

    def step(kind, amount=0):
        return bytes([kind | amount << 3])

    def says(*commands, channel=0):
        data = b"".join(map(frame, commands))
        return step(RECEIVE_AND_TURN, channel) + struct.pack(">H", len(data)) + data

    def partitions(count, request=1):
        return says(command(22, (1, count), (2, request), (3, 0)))

    def lookup(host, request, kind=1):
        return says(command(24, (1, f"pulsar://{host}:6650"), (3, kind), (4, request), (5, 1)))

    def created(request, last_sequence_id=MAX):
        return says(command(17, (1, request), (2, "name"), (3, last_sequence_id)))

    def receipt(sequence, producer=1):
        return says(command(7, (1, producer), (2, sequence), (3, message_id(5, sequence))))

    def options(flags=0, limits=0xFF, kinds=0, more=0):
        return bytes([flags, limits, kinds, more])

    def session(*steps, **given):
        return options(**given) + ready + b"".join(steps)

    # Clients begin with the host `two`, since the lane's random numbers are always the same. A request's id is its
    # number on its connection.
    greeted = says(CONNECTED)
    ready = greeted + partitions(0) + lookup("two", 2) + created(3)
    again = greeted + lookup("two", 1) + created(2)
    sends = step(SEND, 9) + step(SEND, 10) + step(SEND, 0) + step(TURN)
    written = step(WRITTEN, 7 << 2)
    second = step(TIME, 10)

    look = step(CALL, 3)
    for flags in (0, 1, 4, 8, 0x10, 0x20, 0x40):
        yield f"deliver_{flags:02x}", session(sends, written, receipt(0), sends, look, receipt(3), receipt(4), flags=flags)
    for kinds in (1, 2, 4, 8, 12, 0x10, 0x20, 0x30, 0x40):
        yield f"deliver_as_{kinds:02x}", session(sends, written, receipt(0), sends, receipt(3), receipt(4), kinds=kinds)
    for more in (1, 2, 3, 4, 8, 16):
        yield f"deliver_more_{more:02x}", session(sends, written, receipt(0), sends, receipt(3), step(TIME, 15), more=more)
    yield "full", session(sends, sends, receipt(0), sends, limits=0x08)
    yield "slow", session(sends, sends, sends, written, receipt(0), written, receipt(3), step(END), second, again, written,
                          flags=0x80, limits=0xFA)
    yield "slow_lost", session(sends, sends, sends, step(END), second, again, written, written, receipt(0), flags=0x80, kinds=2)
    yield "partitioned", options(flags=1) + greeted + partitions(2) + lookup("two", 2) + lookup("two", 3) + created(4) + created(
        5, 41) + sends + receipt(0) + receipt(42, 2)
    yield "other_broker", options() + greeted + partitions(0) + lookup("one", 2) + greeted + created(1) + sends + receipt(0)
    yield "redirects", options() + greeted + partitions(0) + lookup("b0", 2, 0) + b"".join(
        greeted + lookup(f"b{i}", 1, 0) for i in range(1, 23))
    yield "proxy", options() + greeted + partitions(0) + says(
        command(24, (1, "pulsar://b:1"), (3, 1), (4, 2), (8, 1))) + greeted + created(1) + sends + says(CLOSE_PRODUCER)
    yield "refused", options() + says(command(14, (1, MAX), (2, 3), (3, "Failed to authenticate")))
    yield "no_topic", options() + greeted + says(command(22, (2, 1), (3, 1), (4, 11), (5, "gone")))
    yield "busy", options() + greeted + partitions(0) + lookup("two", 2) + says(
        command(14, (1, 3), (2, 16), (3, "busy"))) + second + lookup("two", 4) + created(5) + sends
    yield "resend", session(sends, written, step(END), second, again, receipt(0))
    yield "lost_before_written", session(sends, step(END), sends, second, again, written, receipt(0), receipt(3))
    yield "receipt_too_far", session(sends, receipt(99), second)
    yield "send_error", session(sends, says(command(8, (1, 1), (2, 0), (3, 2), (4, "bookie is gone"))),
                                says(command(13, (1, 4))), second, lookup("two", 5), created(6), receipt(0))
    yield "checksum", session(sends, says(command(8, (1, 1), (2, 0), (3, 9), (4, "checksum failed"))), second)
    yield "not_allowed", session(sends, says(command(8, (1, 1), (2, 0), (3, 22), (4, "too large"))))
    yield "terminated", session(sends, says(command(8, (1, 1), (2, 0), (3, 15), (4, "terminated"))))
    yield "close_producer", session(sends, says(command(15, (1, 1), (2, MAX))), second, lookup("two", 4), created(5))
    yield "assigned", session(sends, says(CLOSE_PRODUCER), greeted, created(1), receipt(0))
    yield "migrated", session(sends, says(MIGRATED), second, greeted, lookup("blue", 1), greeted, created(1), receipt(0))
    yield "migrated_nowhere", session(says(MIGRATED), second, says(command(68, (1, 1), (2, 0))), second)
    moved = session(says(MIGRATED), second, greeted, lookup("blue", 1), created(2))
    yield "migrated_badly", moved + says(command(68, (1, 1), (2, 0), (3, "pulsar://" + "h" * 300))) + second
    yield "migrated_to_many", moved + says(command(68, (1, 1), (2, 0), (3, "pulsar://a:1,b:2"))) + second
    yield "receipt_of_unsent", session(step(END), step(TURN), sends, second, greeted, lookup("two", 1), receipt(0),
                                       receipt(1), limits=0xF8)
    yield "challenge", session(says(COMMANDS["auth_challenge"]), says(PING, PING), written)
    yield "silent", session(sends, step(TIME, 15), step(TIME, 15), step(TIME, 15))
    yield "too_small", session(sends, step(END), second, says(command(3, (1, ""), (3, 1))), lookup("two", 1), created(2))
    yield "last_id_largest", options() + greeted + partitions(0) + lookup("two", 2) + created(3, 2**63 - 1) + sends
    small = says(command(3, (1, ""), (3, 300)))
    yield "chunks", options(flags=0x10) + small + partitions(0) + lookup("two", 2) + created(3) + step(SEND, 30) + step(
        TURN) + written + receipt(0) + receipt(0) + receipt(0) + receipt(0)
    yield "grows", options() + greeted + partitions(1) + lookup("two", 2) + created(3) + sends + receipt(0) + step(TIME, 15) + step(
        TIME, 15) + step(TIME, 15) + partitions(2, 4) + lookup("two", 5) + created(6) + sends
    yield "waits_in_line", options(kinds=8) + greeted + partitions(0) + lookup("two", 2) + says(
        command(17, (1, 3), (2, "name"), (6, 0))) + second + created(3) + sends + receipt(0)
    yield "schema_version_too_long", options(more=16) + greeted + partitions(0) + lookup("two", 2) + says(
        command(17, (1, 3), (2, "name"), (3, MAX), (4, b"v" * 100))) + says(command(13, (1, 4))) + second + lookup("two", 5) + created(6) + sends
    yield "send_timeout", session(sends, written, step(TIME, 12), receipt(0), flags=4)
    yield "dedup", session(sends, written, receipt(0), step(END), second, again, sends, receipt(4), flags=0x21)
    yield "query", session(step(CALL, 2), partitions(4, 4), step(CALL, 2), step(TIME, 15), step(CALL, 2))
    yield "close", session(sends, step(CALL, 0), receipt(0), says(command(13, (1, 4))), second)
    yield "close_answered_late", session(sends, step(CALL, 0), step(TIME, 14), receipt(0), says(command(13, (1, 4))))
    yield "unknown", session(says(COMMANDS["unknown_command"], COMMANDS["pong"], b"\x08\x12"), sends)
    yield "unreadable", session(says(b"\x08"), sends)
    yield "connected_twice", session(says(CONNECTED, CONNECTED))
    yield "cut", session(step(RECEIVE) + struct.pack(">H", 3) + b"\0\0\0", step(END), second)
    yield "nobody", options() + step(END) + second + step(END) + second
    yield "asks_and_asks", session(says(PING, PING, COMMANDS["auth_challenge"], COMMANDS["auth_challenge"], PING), sends, written,
                                   says(PING, COMMANDS["auth_challenge"]), written)


def address_inputs():
    """room | URL, see fuzz_address.c."""
    for name, url in {
        "plain": "pulsar://localhost:6650",
        "default_port": "pulsar://broker.example.com/",
        "three": "pulsar://a:1,b:65535, c/",
        "ipv6": "pulsar://[2001:db8::1]:6650,[::1]",
        "tls": "pulsar+ssl://broker.example.com:6651",
        "http": "http://localhost:8080",
        "port_zero": "pulsar://a:0",
        "port_too_large": "pulsar://a:65536",
        "port_missing": "pulsar://a:",
        "bracket_open": "pulsar://[::1:6650",
        "bracket_rest": "pulsar://[::1]6650",
        "user": "pulsar://user@host:6650",
        "empty_part": "pulsar://a,,b",
        "nothing": "pulsar://",
        "host_longest": "pulsar://" + "h" * 253,
        "host_too_long": "pulsar://" + "h" * 254 + ":1",
    }.items():
        yield name, b"\3" + url.encode()
    yield "no_room", b"\0pulsar://a,b"


def http_url_inputs():
    for name, url in {
        "issuer": "https://issuer.example.com/tenant",
        "endpoint": "http://localhost:8000",
        "query": "HTTPS://a:8443/t?x=1&y=/?",
        "ipv6": "https://[2001:db8::1]:443/",
        "standard_port": "http://a:80/",
        "port_zero": "http://a:0/",
        "port_too_large": "http://a:65536/",
        "port_missing": "http://a:/",
        "user": "https://user:password@a/",
        "fragment": "https://a/b#c",
        "query_without_path": "https://a?b",
        "other_scheme": "ftp://a/",
        "no_host": "https:///a",
        "line_break": "https://a/b\r\nHost: c",
        "not_ascii": "https://\u00fc/",
        "longest_path": "https://a/" + "p" * 2046,
        "too_long": "https://a/" + "p" * 2047,
        "nothing": "",
    }.items():
        yield name, url.encode()


def topic_inputs():
    for name, topic in {
        "short": "orders",
        "path": "tenant/namespace/orders",
        "full": "persistent://public/default/orders",
        "non_persistent": "non-persistent://public/default/orders",
        "partition": "persistent://public/default/orders-partition-3",
        "entity_characters": "a-b=c:d.e_f/g/topic~with+more",
        "not_ascii": "persistent://public/default/Bestellungen-\u00fc",
        "domain": "kafka://a/b/c",
        "two_slashes": "a/b//c",
        "four_parts": "persistent://a/cluster/b/c",
        "one_slash": "a/b",
        "no_topic": "persistent://a/b/",
        "space": "a/b/c d",
        "longest": "t" * 4096,
        "empty": "",
    }.items():
        yield name, topic.encode()


def pipe_frame_inputs():
    """limit | first | bytes, see fuzz_pipe_frame.c."""

    def piped(kind, body=b""):
        return struct.pack(">I", 1 + len(body)) + kind + body

    config = piped(b"C", b"configs: {}\n")
    acked = piped(b"A", struct.pack(">QQQ", 1, 3, MAX))
    for name, data in {
        "session": config + acked + piped(b"A", struct.pack(">Q", 2)),
        "half_a_number": config + piped(b"A", b"1234"),
        "no_number": piped(b"A"),
        "ours": config + piped(b"L") + piped(b"H", b"\x010.1"),
        "no_type": struct.pack(">I", 0) + acked,
        "too_large": acked + piped(b"C", b"x" * 64),
        "http": b"GET / HTTP/1.1\r\n\r\n",
        "message": b"\x05\x03key\x01a\x02bc\x00\x00\x04{\"a\"\x03:1}",
        "nothing": b"",
    }.items():
        yield name, b"\x40\x14" + data


def write(target, inputs):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in inputs:
        (folder / name).write_bytes(data)


def record(number, **more):
    image = {"id": {"S": f"item {number}"}, "at": {"N": "1"}}
    return {
        "eventID": f"{number:032x}",
        "eventName": "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1700000000.0,
            "Keys": image,
            "NewImage": {**image, "m": {"M": {"l": {"L": [{"NULL": True}, {"B": "AQI="}, {}]}}}},
            "SequenceNumber": f"{number:021}",
            "SizeBytes": 59,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        **more,
    }


def page_inputs():
    """The first byte chooses the key."""
    deleted = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    pages = {
        "empty": {"Records": [], "NextShardIterator": "next"},
        "closed": {"Records": [record(1)]},
        "several": {"Records": [record(i) for i in range(1, 4)], "NextShardIterator": "a|1|b\u00e9"},
        "ttl": {"Records": [record(7, eventName="REMOVE", userIdentity=deleted)], "NextShardIterator": None},
        "keyless": {"Records": [{"dynamodb": {"SequenceNumber": "1"}}]},
        "unknown": {"Records": [record(8, more=[1, {"a": "\\\""}])], "more": {"x": [[]]}},
    }
    for key, (name, page) in enumerate(pages.items()):
        yield name, bytes([key % 3]) + json.dumps(page, ensure_ascii=False, separators=(",", ":")).encode()
        yield f"{name}-spaced", bytes([key % 3]) + json.dumps(page, indent=1).encode()


def lease_inputs():
    least = {"leaseKey": {"S": "shardId-1"}, "leaseCounter": {"N": "7"}, "checkpoint": {"S": "TRIM_HORIZON"}}
    arn = "arn:aws:dynamodb:us-east-1:1:table/t/stream/x"
    yield "least", json.dumps(least).encode()
    full = {
        **least,
        "leaseOwner": {"S": "host:1"},
        "checkpoint": {"S": "000000000000000000075"},
        "checkpointSubSequenceNumber": {"N": "0"},
        "ownerSwitchesSinceCheckpoint": {"N": "2"},
        "parentShardId": {"SS": ["shardId-0"]},
        "d2pStream": {"S": arn},
        "d2pStart": {"N": "1700000000000"},
        "d2pWantedBy": {"S": "other:\"1"},
        "d2pBase": {"S": "000000000000000000070 9 4 itemKey/murmur3"},
        "d2pPos": {"S": "000000000000000000075 14"},
    }
    yield "full", json.dumps(full).encode()
    yield "kcl3", json.dumps({**least, "entityType": {"S": "WORKER_METRICS"}}).encode()


def config_inputs():
    arn = "arn:aws:dynamodb:us-east-1:123456789012:table/t/stream/2026-01-01T00:00:00.000"
    keys = json.dumps({"accessKey": "a", "secretKey": "b"})
    yield "json", json.dumps({"awsDynamodbStreamArn": arn, "topicName": "t"}).encode()
    configs = {
        "awsDynamodbStreamArn": arn,
        "awsCredentialPluginParam": keys,
        "checkpointInterval": "60000",
        "startAtTime": "2019-03-05T19:28:58.000Z",
        "initialPositionInStream": "AT_TIMESTAMP",
        "leaseTable": {"awsRegion": "eu-west-1"},
    }
    source = {
        "tenant": "public",
        "topicName": "t",
        "processingGuarantees": "EFFECTIVELY_ONCE",
        "secrets": {"authParams": {"path": "p", "key": "k"}},
        "producerConfig": {"compressionType": "ZSTD", "batchingConfig": {"enabled": True}},
        "configs": configs,
    }
    yield "source", json.dumps(source, indent=1).encode()
    yield "yaml", f"# comment\nawsDynamodbStreamArn: {arn}\ntopicName: 't'\nsink: none # x\nlanes: auto\n".encode()
    yield "anchors", b"a: &x {b: 1}\nc: *x\n<<: *x\n"
    yield "misspelt", b"awsDynamodbStreamARN: x\n"


def word_inputs():
    """The first byte says what it is."""
    words = [
        ["arn:aws-cn:dynamodb:cn-north-1:123456789012:table/t/stream/2026-01-01T00:00:00.000", "arn:aws:s3:::b"],
        ["2019-03-05T19:28:58.000Z", "2019-03-05T20:28+01:00", "1551814138000", "Tue, 05 Mar 2019 19:28:58 GMT"],
        ["Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1914 08:49:37 GMT"],
        ["TRIM_HORIZON", "SHARD_END", "000000000000000000075", "9" * 40],
        ["000000000000000000070 9 4 itemKey/murmur3"],
        ["GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD /metrics?x HTTP/1.0\r\n\r\n", "POST / HTTP/1.1\r\n\r\n"],
    ]
    for kind, texts in enumerate(words):
        for i, text in enumerate(texts):
            yield f"{kind}-{i}", bytes([kind]) + text.encode()


def aws_reply_inputs():
    """The first byte is for the status."""
    code = "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"
    yield "json", b"\x00" + json.dumps({"__type": code, "message": "slow down"}).encode()
    yield "xml", b"\x01<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
    yield "html", b"\x06<html><body>503</body></html>"
    yield "keys-of-1013", b"\x00" + keys(1013)
    yield "keys", b"\x00" + keys(2026)


def keys(year):
    return (
        b"<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>s&amp;"
        b"</SecretAccessKey><SessionToken>t</SessionToken><Expiration>%d-01-01T00:00:00Z</Expiration></Credentials>"
        b"</AssumeRoleResult></AssumeRoleResponse>" % year
    )


write("fuzz_frame", frame_inputs())
write("fuzz_broker", broker_inputs())
write("fuzz_address", address_inputs())
write("fuzz_http_url", http_url_inputs())
write("fuzz_topic", topic_inputs())
write("fuzz_record", page_inputs())
write("fuzz_lease", lease_inputs())
write("fuzz_config", config_inputs())
write("fuzz_words", word_inputs())
write("fuzz_aws_reply", aws_reply_inputs())
write("fuzz_pipe_frame", pipe_frame_inputs())
