package ddb2pulsar;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class FramesTest {
    private static DataInputStream in(String bytes) {
        return new DataInputStream(new ByteArrayInputStream(bytes.getBytes(StandardCharsets.ISO_8859_1)));
    }

    private static String utf8(String text) {
        return new String(text.getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1);
    }

    @Test
    void readsARecord() throws IOException {
        String body = "\0\0\0\0\0\0\1\2" + "\0\0\0\0\0\0\0\5" + "\1\1" + "\0\0\0\2" + utf8("ü") + "\0\0\0\1n\0\0\0\0" + "{}";
        DataInputStream in = in("\0\0\0\44R" + body + "\0\0\0\1L");
        Frames.Frame frame = Frames.read(in);
        assertEquals(Frames.RECORD, frame.type());
        Frames.Content content = Frames.content(frame);
        assertEquals(258, content.number());
        assertEquals(5, content.eventTime());
        assertEquals(Optional.of("ü"), content.key());
        assertEquals(Map.of("n", ""), content.properties());
        assertArrayEquals("{}".getBytes(StandardCharsets.UTF_8), content.value());
        assertEquals(Frames.ALIVE, Frames.read(in).type());
        assertNull(Frames.read(in));
    }

    @Test
    void aKeyMayBeMissing() throws IOException {
        String body = "\0\0\0\0\0\0\0\1" + "\0\0\0\0\0\0\0\0" + "\0\0" + "\0\0\0\0";
        Frames.Content content = Frames.content(Frames.read(in("\0\0\0\27R" + body)));
        assertEquals(Optional.empty(), content.key());
        assertEquals(0, content.value().length);
    }

    @Test
    void whatIsNoFrame() {
        assertThrows(EOFException.class, () -> Frames.read(in("\0\0")));
        assertThrows(EOFException.class, () -> Frames.read(in("\0\0\0\4Rab")));
        assertThrows(IOException.class, () -> Frames.read(in("\0\0\0\0")));
        assertThrows(IOException.class, () -> Frames.read(in("\1\0\0\1R")));
        assertThrows(IOException.class, () -> Frames.read(in("\377\377\377\377R")));
    }

    @Test
    void aHelloOfAnotherProtocol() throws IOException {
        assertEquals("0.1", Frames.version(Frames.read(in("\0\0\0\5H\1" + "0.1"))));
        Frames.Frame other = Frames.read(in("\0\0\0\5H\2" + "0.1"));
        assertThrows(IOException.class, () -> Frames.version(other));
    }

    @Test
    void writesNumbersInFramesThatAreNotTooLong() throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        long[] numbers = new long[Frames.ACKED_MAX + 5];
        for (int i = 0; i < numbers.length; i++) {
            numbers[i] = i;
        }
        Frames.writeAcked(new DataOutputStream(bytes), numbers, Frames.ACKED_MAX + 2);
        DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes.toByteArray()));
        Frames.Frame first = Frames.read(in);
        Frames.Frame second = Frames.read(in);
        assertEquals(Frames.ACKED, first.type());
        assertEquals(8 * Frames.ACKED_MAX, first.body().remaining());
        assertEquals(16, second.body().remaining());
        assertEquals(Frames.ACKED_MAX, second.body().getLong());
        assertEquals(Frames.ACKED_MAX + 1, second.body().getLong());
        assertNull(Frames.read(in));
    }

    @Test
    void writesTheConfiguration() throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        Frames.writeConfig(new DataOutputStream(bytes), "ü");
        assertArrayEquals(("\0\0\0\3C" + utf8("ü")).getBytes(StandardCharsets.ISO_8859_1), bytes.toByteArray());
    }
}
