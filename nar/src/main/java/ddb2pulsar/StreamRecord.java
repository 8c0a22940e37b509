package ddb2pulsar;

import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.pulsar.functions.api.Record;

/** One change, as the framework takes it. Its end is told once, whatever the framework tells and however often. */
final class StreamRecord implements Record<byte[]> {
    private static final String SHARD = "SHARD_ID";

    private final Frames.Content content;
    private final Session session;
    private final AtomicBoolean settled = new AtomicBoolean();

    StreamRecord(Frames.Content content, Session session) {
        this.content = content;
        this.session = session;
    }

    @Override
    public byte[] getValue() {
        return content.value();
    }

    @Override
    public Optional<String> getKey() {
        return content.key();
    }

    @Override
    public Map<String, String> getProperties() {
        return content.properties();
    }

    @Override
    public Optional<Long> getEventTime() {
        return Optional.of(content.eventTime());
    }

    /** The shard. */
    @Override
    public Optional<String> getPartitionId() {
        return Optional.ofNullable(content.properties().get(SHARD));
    }

    /** Counts all records of this source since its start, so it grows within a shard; it begins anew at the next start. */
    @Override
    public Optional<Long> getRecordSequence() {
        return Optional.of(content.number());
    }

    @Override
    public void ack() {
        if (settled.compareAndSet(false, true)) {
            session.acknowledge(content.number());
        }
    }

    /** The checkpoint of its shard will not pass it, and the source ends: after a restart it is read again. */
    @Override
    public void fail() {
        if (settled.compareAndSet(false, true)) {
            session.failRecord("Pulsar could not deliver the record " + content.properties().get("SEQUENCE_NUMBER")
                    + " of shard " + content.properties().get(SHARD) + "; after a restart it is read again");
        }
    }
}
