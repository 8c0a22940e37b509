package ddb2pulsar;

import java.nio.file.Path;
import java.util.Map;
import org.apache.pulsar.common.functions.FunctionConfig.ProcessingGuarantees;
import org.apache.pulsar.functions.api.Record;
import org.apache.pulsar.io.core.Source;
import org.apache.pulsar.io.core.SourceContext;

/**
 * A DynamoDB stream as a source of Pulsar IO. The native program reads the stream and keeps leases and checkpoints; this
 * class hands its records to the framework and the framework's acknowledgements back.
 *
 * <p>The framework calls these methods on one thread, but close() maybe on another one.
 */
public final class DynamoDbSource implements Source<byte[]> {
    private volatile Session session;

    /** Returns when the program has accepted the configuration and has its credentials; else says what is wrong. */
    @Override
    public void open(Map<String, Object> config, SourceContext context) throws Exception {
        if (context.getSourceConfig() != null
                && context.getSourceConfig().getProcessingGuarantees() == ProcessingGuarantees.EFFECTIVELY_ONCE) {
            // Its sequence ids would have to be the same after a restart; else the broker takes new records for old ones.
            throw new IllegalArgumentException("processingGuarantees EFFECTIVELY_ONCE is not supported;"
                    + " allowed: ATLEAST_ONCE, ATMOST_ONCE or MANUAL");
        }
        Program program = Program.start();
        try {
            Path instance = Path.of(context.getTenant(), context.getNamespace(),
                    context.getSourceName() + "-" + context.getInstanceId());
            String configuration = Configuration.of(config, instance, context::getSecret);
            session = Session.start(program.process(), configuration, context.getLogger(), Session.LIMITS);
        } finally {
            program.deleteFiles();
        }
    }

    /** Waits for the next record. Throws, within seconds, once the program has ended or a record has failed. */
    @Override
    public Record<byte[]> read() throws Exception {
        return session.next();
    }

    /** Waits for the acknowledgements of what was read, lets the program write its checkpoints, and ends it: 8 s at most. */
    @Override
    public void close() {
        if (session != null) {
            session.close();
        }
    }
}
