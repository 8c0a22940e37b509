package ddb2pulsar;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/** The frames between this side and the program; src/sink/pipe_frame.h says what they are. */
final class Frames {
    static final int PROTOCOL = 1;
    /** Numbers in one frame. */
    static final int ACKED_MAX = 4096;

    static final char CONFIG = 'C';
    static final char ACKED = 'A';
    static final char HELLO = 'H';
    static final char RECORD = 'R';
    static final char ALIVE = 'L';

    private static final int SIZE_MAX = 16 * 1024 * 1024;

    private Frames() {}

    /** One frame from the program; the type is taken off the body. */
    record Frame(char type, ByteBuffer body) {}

    /** What a record is made of. */
    record Content(long number, long eventTime, Optional<String> key, Map<String, String> properties, byte[] value) {}

    static void writeConfig(DataOutputStream out, String text) throws IOException {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        out.writeInt(1 + bytes.length);
        out.writeByte(CONFIG);
        out.write(bytes);
        out.flush();
    }

    /** The first count of the numbers, in as many frames as it takes. */
    static void writeAcked(DataOutputStream out, long[] numbers, int count) throws IOException {
        for (int from = 0; from < count; from += ACKED_MAX) {
            int to = Math.min(count, from + ACKED_MAX);
            out.writeInt(1 + 8 * (to - from));
            out.writeByte(ACKED);
            for (int i = from; i < to; i++) {
                out.writeLong(numbers[i]);
            }
        }
        out.flush();
    }

    /** Null at the end. */
    static Frame read(DataInputStream in) throws IOException {
        int first = in.read();
        if (first < 0) {
            return null;
        }
        int size = first << 24 | in.readUnsignedByte() << 16 | in.readUnsignedByte() << 8 | in.readUnsignedByte();
        if (size < 1 || size > SIZE_MAX) {
            throw new IOException("the program sent a frame of " + Integer.toUnsignedString(size) + " bytes");
        }
        char type = (char) in.readUnsignedByte();
        byte[] body = in.readNBytes(size - 1);
        if (body.length < size - 1) {
            throw new EOFException("the program's output ended within a frame");
        }
        return new Frame(type, ByteBuffer.wrap(body));
    }

    /** Of a HELLO: the program's version. */
    static String version(Frame hello) throws IOException {
        byte protocol = hello.body().get();
        if (protocol != PROTOCOL) {
            throw new IOException("the program speaks protocol " + protocol + ", not " + PROTOCOL);
        }
        return StandardCharsets.UTF_8.decode(hello.body()).toString();
    }

    /** Of a RECORD. */
    static Content content(Frame record) {
        ByteBuffer body = record.body();
        long number = body.getLong();
        long eventTime = body.getLong();
        boolean hasKey = body.get() != 0;
        int count = Byte.toUnsignedInt(body.get());
        String key = text(body);
        Map<String, String> properties = new LinkedHashMap<>(2 * count);
        for (int i = 0; i < count; i++) {
            properties.put(text(body), text(body));
        }
        byte[] value = new byte[body.remaining()];
        body.get(value);
        return new Content(number, eventTime, hasKey ? Optional.of(key) : Optional.empty(), properties, value);
    }

    private static String text(ByteBuffer body) {
        int size = body.getInt();
        String text = new String(body.array(), body.arrayOffset() + body.position(), size, StandardCharsets.UTF_8);
        body.position(body.position() + size);
        return text;
    }
}
