import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.pulsar.client.api.HashingScheme;
import org.apache.pulsar.client.api.Message;
import org.apache.pulsar.client.api.MessageId;
import org.apache.pulsar.client.api.MessageIdAdv;
import org.apache.pulsar.client.api.Producer;
import org.apache.pulsar.client.api.ProducerAccessMode;
import org.apache.pulsar.client.api.PulsarClient;
import org.apache.pulsar.client.api.Reader;
import org.apache.pulsar.client.api.Schema;
import org.apache.pulsar.client.api.schema.GenericRecord;
import org.apache.pulsar.common.schema.KeyValue;
import org.apache.pulsar.common.schema.KeyValueEncodingType;

/**
 * Pulsar's own Java client as a witness of what our producer sent. Each line of stdin is a request, each line of
 * stdout its answer; witness.py asks. Run as a source file, so nothing has to be compiled before.
 */
public class Witness {
    /** Of the tests' JSON and Avro schemas. */
    public static class Order {
        public String id;
        public long total;
    }

    private static final ObjectMapper JSON = new ObjectMapper().disable(JsonGenerator.Feature.AUTO_CLOSE_TARGET);

    private final PulsarClient client;
    private final Map<String, Producer<byte[]>> producers = new HashMap<>();

    private Witness(String url) throws Exception {
        client = PulsarClient.builder().serviceUrl(url).operationTimeout(15, TimeUnit.SECONDS).build();
    }

    public static void main(String[] arguments) throws Exception {
        PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        System.setOut(System.err); // the loggers' console
        Witness witness = new Witness(arguments[0]);
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = requests.readLine()) != null; ) {
            ObjectNode answer = JSON.createObjectNode();
            try {
                witness.answer(JSON.readTree(line), answer);
            } catch (Exception error) {
                answer.put("error", error.getClass().getSimpleName()).put("text", String.valueOf(error.getMessage()));
            }
            JSON.writeValue(answers, answer);
            answers.println();
        }
        System.exit(0);
    }

    private void answer(JsonNode request, ObjectNode answer) throws Exception {
        switch (request.get("do").asText()) {
            case "route" -> route(request, answer);
            case "read" -> read(request, answer);
            case "open" -> open(request, answer);
            case "send" -> producers.get(request.get("id").asText()).send(new byte[] {1});
            case "close" -> producers.remove(request.get("id").asText()).close();
            default -> throw new IllegalArgumentException("do what?");
        }
    }

    /** Sends a message for each key, and tells the partitions in which they were stored. */
    private void route(JsonNode request, ObjectNode answer) throws Exception {
        ArrayNode partitions = answer.putArray("partitions");
        try (Producer<byte[]> producer = client.newProducer()
                .topic(request.get("topic").asText())
                .hashingScheme(HashingScheme.valueOf(request.get("hashing").asText()))
                .blockIfQueueFull(true)
                .create()) {
            List<CompletableFuture<MessageId>> sent = new ArrayList<>();
            for (JsonNode key : request.get("keys")) {
                sent.add(producer.newMessage().key(key.asText()).value(new byte[] {1}).sendAsync());
            }
            for (CompletableFuture<MessageId> id : sent) {
                partitions.add(((MessageIdAdv) id.get()).getPartitionIndex());
            }
        }
    }

    private static Schema<?> schema(String name) {
        switch (name) {
            case "bytes":
                return Schema.BYTES;
            case "string":
                return Schema.STRING;
            case "json":
                return Schema.JSON(Order.class);
            case "avro":
                return Schema.AVRO(Order.class);
            case "inline":
                return Schema.KeyValue(Schema.STRING, Schema.JSON(Order.class), KeyValueEncodingType.INLINE);
            case "separated":
                return Schema.KeyValue(Schema.STRING, Schema.JSON(Order.class), KeyValueEncodingType.SEPARATED);
            case "auto":
                return Schema.AUTO_CONSUME();
            default:
                throw new IllegalArgumentException("no schema is called " + name);
        }
    }

    /** The first messages of a topic. */
    private void read(JsonNode request, ObjectNode answer) throws Exception {
        ArrayNode messages = answer.putArray("messages");
        try (Reader<?> reader = client.newReader(schema(request.get("schema").asText()))
                .topic(request.get("topic").asText())
                .startMessageId(MessageId.earliest)
                .readCompacted(request.get("compacted").asBoolean())
                .autoAckOldestChunkedMessageOnQueueFull(false)
                .create()) {
            for (int left = request.get("count").asInt(); left > 0; left--) {
                Message<?> message = reader.readNext(15, TimeUnit.SECONDS);
                if (message == null) {
                    throw new IllegalStateException(messages.size() + " messages, and then no more");
                }
                describe(message, messages.addObject());
            }
            answer.put("more", reader.hasMessageAvailable());
        }
    }

    private static void describe(Message<?> message, ObjectNode to) {
        to.put("hasKey", message.hasKey());
        if (message.hasKey()) {
            to.put("key", message.getKey());
            to.put("keyBytes", message.getKeyBytes());
            to.put("keyIsBase64", message.hasBase64EncodedKey());
        }
        to.put("orderingKey", message.getOrderingKey());
        to.put("eventTime", message.getEventTime());
        to.put("publishTime", message.getPublishTime());
        to.put("sequenceId", message.getSequenceId());
        to.put("producer", message.getProducerName());
        to.put("data", message.getData());
        to.set("properties", JSON.valueToTree(message.getProperties()));
        Object value = message.getValue();
        to.put("isNull", value == null);
        if (!(value instanceof byte[])) { // else it is the data
            to.set("value", plain(value));
        }
        to.put("schemaVersion", message.getSchemaVersion());
    }

    /** A decoded value as JSON. */
    private static JsonNode plain(Object value) {
        if (value instanceof KeyValue<?, ?> pair) {
            return JSON.createArrayNode().add(plain(pair.getKey())).add(plain(pair.getValue()));
        }
        if (value instanceof GenericRecord record) {
            if (record.getFields() == null || record.getFields().isEmpty()) {
                return plain(record.getNativeObject());
            }
            ObjectNode members = JSON.createObjectNode();
            record.getFields().forEach(field -> members.set(field.getName(), plain(record.getField(field))));
            return members;
        }
        if (value instanceof CharSequence text) { // Avro has a type of its own
            return JSON.getNodeFactory().textNode(text.toString());
        }
        return JSON.valueToTree(value);
    }

    private void open(JsonNode request, ObjectNode answer) throws Exception {
        Producer<byte[]> producer = client.newProducer()
                .topic(request.get("topic").asText())
                .accessMode(ProducerAccessMode.valueOf(request.get("accessMode").asText()))
                .create();
        producers.put(request.get("id").asText(), producer);
    }
}
