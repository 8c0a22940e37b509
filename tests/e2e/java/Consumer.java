import com.amazonaws.auth.AWSCredentialsProvider;
import com.amazonaws.auth.AWSStaticCredentialsProvider;
import com.amazonaws.auth.BasicAWSCredentials;
import com.amazonaws.client.builder.AwsClientBuilder.EndpointConfiguration;
import com.amazonaws.services.cloudwatch.AmazonCloudWatch;
import com.amazonaws.services.dynamodbv2.AmazonDynamoDBClientBuilder;
import com.amazonaws.services.dynamodbv2.AmazonDynamoDBStreamsClientBuilder;
import com.amazonaws.services.dynamodbv2.streamsadapter.AmazonDynamoDBStreamsAdapterClient;
import com.amazonaws.services.dynamodbv2.streamsadapter.StreamsWorkerFactory;
import com.amazonaws.services.kinesis.clientlibrary.exceptions.ShutdownException;
import com.amazonaws.services.kinesis.clientlibrary.interfaces.IRecordProcessorCheckpointer;
import com.amazonaws.services.kinesis.clientlibrary.interfaces.v2.IRecordProcessor;
import com.amazonaws.services.kinesis.clientlibrary.lib.worker.InitialPositionInStream;
import com.amazonaws.services.kinesis.clientlibrary.lib.worker.KinesisClientLibConfiguration;
import com.amazonaws.services.kinesis.clientlibrary.lib.worker.Worker;
import com.amazonaws.services.kinesis.clientlibrary.types.InitializationInput;
import com.amazonaws.services.kinesis.clientlibrary.types.ProcessRecordsInput;
import com.amazonaws.services.kinesis.clientlibrary.types.ShutdownInput;
import com.amazonaws.services.kinesis.metrics.interfaces.MetricsLevel;
import com.amazonaws.services.kinesis.model.Record;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A worker of the Kinesis Client Library on a DynamoDB stream, set up and used as Pulsar's Java connector does it; only
 * that its records become lines of stdout, and that it waits less. kcl.py starts it with one argument, a JSON object.
 * Lines of stdin: `checkpoint SHARD NUMBER`, and `close`, after which it ends as the connector does.
 */
public class Consumer implements IRecordProcessor {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Map<String, Consumer> OPEN = new ConcurrentHashMap<>();
    private static PrintStream out;
    private static boolean everyBatch;

    private String shard;
    private volatile IRecordProcessorCheckpointer checkpointer;

    public static void main(String[] arguments) throws Exception {
        out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        JsonNode options = JSON.readTree(arguments[0]);
        everyBatch = options.get("checkpoint").asText().equals("every batch");
        Worker worker = worker(options);
        Thread thread = new Thread(worker);
        thread.setDaemon(true);
        thread.start();
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = commands.readLine()) != null; ) {
            String[] words = line.split(" ");
            if (words[0].equals("checkpoint")) {
                Consumer consumer = OPEN.get(words[1]);
                consumer.checkpointer.checkpoint(words[2]);
                print(consumer.tell("checkpoint").put("number", words[2]));
            } else if (words[0].equals("close")) {
                worker.shutdown();
                thread.join();
                System.exit(0);
            }
        }
        System.exit(1);
    }

    private static Worker worker(JsonNode options) throws Exception {
        AWSCredentialsProvider credentials = new AWSStaticCredentialsProvider(new BasicAWSCredentials(
                options.get("accessKey").asText(), options.get("secretKey").asText()));
        String region = options.get("region").asText();
        KinesisClientLibConfiguration config = new KinesisClientLibConfiguration(
                options.get("application").asText(), options.get("stream").asText(), credentials,
                options.get("worker").asText())
                .withRegionName(region)
                .withInitialPositionInStream(InitialPositionInStream.TRIM_HORIZON)
                .withFailoverTimeMillis(options.get("failoverMs").asLong())
                .withMetricsLevel(MetricsLevel.NONE)
                // The rest has its defaults in the connector; here it is what makes a test wait less.
                .withIdleTimeBetweenReadsInMillis(100)
                .withParentShardPollIntervalMillis(500)
                .withShardSyncIntervalMillis(500);
        shortenFirstWait();
        return StreamsWorkerFactory.createDynamoDbStreamsWorker(
                Consumer::new,
                config,
                new AmazonDynamoDBStreamsAdapterClient(AmazonDynamoDBStreamsClientBuilder.standard()
                        .withCredentials(credentials)
                        .withEndpointConfiguration(new EndpointConfiguration(options.get("streams").asText(), region))
                        .build()),
                AmazonDynamoDBClientBuilder.standard()
                        .withCredentials(credentials)
                        .withEndpointConfiguration(new EndpointConfiguration(options.get("tables").asText(), region))
                        .build(),
                (AmazonCloudWatch) null);
    }

    /** KCL 1.14 looks at an empty lease table for up to 30 s, in case that another worker is about to fill it. */
    private static void shortenFirstWait() throws IllegalAccessException {
        try {
            Field wait = Worker.class.getDeclaredField("MAX_WAIT_TIME_FOR_LEASE_TABLE_CHECK_MILLIS");
            wait.setAccessible(true);
            wait.setLong(null, 1001);
        } catch (NoSuchFieldException older) {
            // KCL 1.13 does not wait.
        }
    }

    private static synchronized void print(ObjectNode line) {
        out.println(line);
    }

    private ObjectNode tell(String event) {
        return JSON.createObjectNode().put("event", event).put("at", System.currentTimeMillis()).put("shard", shard);
    }

    @Override
    public void initialize(InitializationInput input) {
        shard = input.getShardId();
        print(tell("open").put("after", input.getExtendedSequenceNumber().getSequenceNumber()));
    }

    @Override
    public void processRecords(ProcessRecordsInput input) {
        checkpointer = input.getCheckpointer();
        OPEN.put(shard, this);
        ObjectNode line = tell("records");
        ArrayNode numbers = line.putArray("numbers");
        for (Record record : input.getRecords()) {
            numbers.add(record.getSequenceNumber());
        }
        print(line);
        if (everyBatch) {
            checkpoint(input.getCheckpointer());
        }
    }

    @Override
    public void shutdown(ShutdownInput input) {
        OPEN.remove(shard);
        print(tell("shutdown").put("reason", input.getShutdownReason().name()));
        checkpoint(input.getCheckpointer());
    }

    /** Of all that was delivered. Behind a shard's last record that is SHARD_END. */
    private void checkpoint(IRecordProcessorCheckpointer of) {
        try {
            of.checkpoint();
            print(tell("checkpoint"));
        } catch (ShutdownException lost) {
            print(tell("not ours any more"));
        } catch (Exception error) {
            print(tell("checkpoint failed").put("text", error.toString()));
        }
    }
}
