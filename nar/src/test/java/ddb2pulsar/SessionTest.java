package ddb2pulsar;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.pulsar.functions.api.Record;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

/** With shell scripts in the program's place. */
@Timeout(60)
class SessionTest {
    private static final String HELLO = "printf '\\0\\0\\0\\5H\\0010.1'\n";
    private static final Session.Limits LONG = new Session.Limits(30_000, 30_000, 30_000, 30_000);

    @TempDir
    Path folder;

    private Process process;

    private Session start(String script, Session.Limits limits) throws Exception {
        process = new ProcessBuilder("sh", "-c", script).directory(folder.toFile()).start();
        return Session.start(process, "{}", LoggerFactory.getLogger("test"), limits);
    }

    /** Numbered from 1 on. */
    private static String record(int number) {
        return "printf '\\0\\0\\0\\52R\\0\\0\\0\\0\\0\\0\\0\\" + number + "\\0\\0\\0\\0\\0\\0\\0\\0\\0\\1\\0\\0\\0\\0"
                + "\\0\\0\\0\\010SHARD_ID\\0\\0\\0\\002s1v'\n";
    }

    @Test
    void handsOverRecordsAndAcknowledgesThem() throws Exception {
        Session session = start(HELLO + record(1) + record(2) + "cat > input", LONG);
        Record<byte[]> first = session.next();
        Record<byte[]> second = session.next();
        assertEquals("s1", first.getPartitionId().orElseThrow());
        assertEquals(1, first.getRecordSequence().orElseThrow());
        assertEquals("v", new String(second.getValue()));
        second.ack();
        second.ack(); // once more changes nothing
        second.fail();
        first.ack();
        session.close();
        assertEquals(0, process.exitValue());
        byte[] input = Files.readAllBytes(folder.resolve("input"));
        byte[] config = {0, 0, 0, 3, 'C', '{', '}'};
        assertArrayEquals(config, java.util.Arrays.copyOf(input, config.length));
        long numbers = 0;
        int count = 0;
        for (int at = config.length; at < input.length;) {
            int size = input[at + 3];
            assertEquals('A', input[at + 4]);
            for (int i = at + 5; i < at + 4 + size; i += 8) {
                numbers = 10 * numbers + input[i + 7];
                count++;
            }
            at += 4 + size;
        }
        assertEquals(2, count);
        assertEquals(21, numbers); // 2 before 1
    }

    @Test
    void tellsWhyTheProgramDidNotStart() {
        IOException failure = assertThrows(IOException.class, () -> start("echo 'ddb2pulsar: no ARN' >&2; exit 2", LONG));
        assertEquals("ddb2pulsar ended with exit code 2: ddb2pulsar: no ARN", failure.getMessage());
        assertFalse(process.isAlive());
    }

    @Test
    void aDeadProgramIsAnError() throws Exception {
        Session session = start(HELLO + "kill -9 $$", LONG);
        IOException failure = assertThrows(IOException.class, session::next);
        assertEquals("ddb2pulsar ended with exit code 137: it ended", failure.getMessage());
        session.close();
    }

    @Test
    void theLastErrorOfTheLogIsTheReason() throws Exception {
        Session session = start(HELLO + "echo '2026-01-01T00:00:00.000Z error shard failed text=x' >&2;"
                + "echo '2026-01-01T00:00:00.000Z info  process end' >&2; exit 3", LONG);
        IOException failure = assertThrows(IOException.class, session::next);
        assertEquals("ddb2pulsar ended with exit code 3: shard failed text=x", failure.getMessage());
        session.close();
    }

    @Test
    void aSilentProgramIsAnError() throws Exception {
        Session session = start(HELLO + "exec sleep 1000", new Session.Limits(30_000, 1, 1, 30_000));
        IOException failure = assertThrows(IOException.class, session::next);
        assertEquals("ddb2pulsar gave no sign of life for 1 ms", failure.getMessage());
        session.close();
        assertFalse(process.isAlive());
    }

    @Test
    void aProgramThatNeverSaysHelloIsAnError() {
        Session.Limits limits = new Session.Limits(1, 30_000, 1, 30_000);
        IOException failure = assertThrows(IOException.class, () -> start("exec sleep 1000", limits));
        assertEquals("ddb2pulsar was not ready within 1 ms", failure.getMessage());
        assertFalse(process.isAlive());
    }

    @Test
    void whatIsNoFrameIsAnError() throws Exception {
        Session session = start(HELLO + "printf 'Segmentation fault'; exec sleep 1000", LONG);
        IOException failure = assertThrows(IOException.class, session::next);
        assertTrue(failure.getMessage().contains("a frame of 1399154541 bytes"), failure.getMessage());
        session.close();
        assertFalse(process.isAlive());
    }

    @Test
    void afterAFailedRecordNoOtherIsHandedOver() throws Exception {
        Session session = start(HELLO + record(1) + record(2) + record(3) + "cat > input", LONG);
        Record<byte[]> first = session.next();
        Record<byte[]> second = session.next();
        first.fail();
        first.ack(); // too late
        IOException failure = assertThrows(IOException.class, session::next);
        assertTrue(failure.getMessage().contains("of shard s1"), failure.getMessage());
        second.ack(); // still counts
        session.close();
        byte[] input = Files.readAllBytes(folder.resolve("input"));
        assertEquals(7 + 4 + 1 + 8, input.length);
        assertEquals(2, input[input.length - 1]);
    }

    @Test
    void closingWaitsForAcknowledgements() throws Exception {
        Session session = start(HELLO + record(1) + "cat > input", LONG);
        Record<byte[]> record = session.next();
        Thread closer = new Thread(session::close);
        closer.start();
        while (closer.getState() != Thread.State.TIMED_WAITING) {
            Thread.onSpinWait();
        }
        record.ack();
        closer.join();
        assertEquals(7 + 4 + 1 + 8, Files.size(folder.resolve("input")));
    }

    @Test
    void aProgramThatDoesNotEndIsKilled() throws Exception {
        Session session = start(HELLO + record(1) + "exec sleep 1000", new Session.Limits(30_000, 30_000, 1, 2));
        session.next(); // never acknowledged
        session.close();
        assertFalse(process.isAlive());
    }

    @Test
    void aWaitForARecordCanBeInterrupted() throws Exception {
        Session session = start(HELLO + "cat > input", LONG);
        AtomicReference<Exception> thrown = new AtomicReference<>();
        CountDownLatch started = new CountDownLatch(1);
        Thread reader = new Thread(() -> {
            started.countDown();
            try {
                session.next();
            } catch (Exception e) {
                thrown.set(e);
            }
            session.close();
        });
        reader.start();
        started.await();
        reader.interrupt();
        reader.join();
        assertTrue(thrown.get() instanceof InterruptedException, String.valueOf(thrown.get()));
        assertTrue(process.waitFor(0, TimeUnit.SECONDS));
        assertEquals(0, process.exitValue());
    }
}
