package ddb2pulsar;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.BufferedReader;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Queue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.apache.pulsar.functions.api.Record;
import org.slf4j.Logger;

/**
 * One run of the program: its records, the acknowledgements, its log, and its end.
 *
 * <p>Three threads stand beside the framework's: one reads records until enough of them wait, one writes
 * acknowledgements, so that ack() never waits for the program, and one reads the log.
 */
final class Session {
    private static final int QUEUE_RECORDS = 1000;
    private static final int QUEUE_BYTES = 4 * 1024 * 1024;
    private static final int PIPE_BYTES = 64 * 1024;

    private static final long REAP_MS = 5_000;

    /** How long it waits: for the hello, between two signs of life, and at the end, first for acknowledgements, in all. */
    record Limits(long startMs, long silenceMs, long settleMs, long closeMs) {}

    /** The program says that it is alive every second; the framework gives a source 10 s for its end. */
    static final Limits LIMITS = new Limits(60_000, 30_000, 3_000, 8_000);

    private final Process process;
    private final Limits limits;
    private final Logger log;
    private final String configuration;
    private final Thread reader = thread("reader", this::readFrames);
    private final Thread writer = thread("writer", this::writeFrames);
    private final Thread logger = thread("log", this::readLog);

    /** Of all that follows. Nothing is logged under it: a log may go to Pulsar, whose threads wait here in ack(). */
    private final ReentrantLock lock = new ReentrantLock();

    private final Condition arrived = lock.newCondition(); // a record, the hello, a failure, the end
    private final Condition taken = lock.newCondition(); // there is room in the queue
    private final Condition settled = lock.newCondition(); // there is something to acknowledge, or to close
    private final Condition quiet = lock.newCondition(); // nothing is out any more
    private final Queue<StreamRecord> queue = new ArrayDeque<>();
    private long queuedBytes;
    private long out; // records that the framework has and that are not settled
    private long[] acked = new long[256];
    private int ackedCount;
    private long heardNanos = System.nanoTime();
    private boolean hello;
    private boolean closing;
    private boolean ended;
    private IOException failure; // the first one
    private String lastError = "";

    private Session(Process process, String configuration, Logger log, Limits limits) {
        this.process = process;
        this.configuration = configuration;
        this.log = log;
        this.limits = limits;
    }

    private static Thread thread(String name, Runnable run) {
        Thread thread = new Thread(run, "ddb2pulsar-" + name);
        thread.setDaemon(true);
        return thread;
    }

    /** Returns when the program is ready to read the stream; else it has ended. */
    static Session start(Process process, String configuration, Logger log, Limits limits)
            throws IOException, InterruptedException {
        Session session = new Session(process, configuration, log, limits);
        session.logger.start(); // first, since the reader's end waits for it
        session.writer.start();
        session.reader.start();
        try {
            session.awaitHello();
        } catch (IOException | InterruptedException | RuntimeException e) {
            session.close();
            throw e;
        }
        return session;
    }

    private void awaitHello() throws IOException, InterruptedException {
        lock.lockInterruptibly();
        try {
            long left = TimeUnit.MILLISECONDS.toNanos(limits.startMs());
            while (!hello && failure == null && left > 0) {
                left = arrived.awaitNanos(left);
            }
            if (hello) {
                return; // what has failed since then, next() tells
            }
            if (failure == null) {
                fail("ddb2pulsar was not ready within " + limits.startMs() + " ms");
                kill();
            }
            throw failure;
        } finally {
            lock.unlock();
        }
    }

    // ---- the framework's threads ----

    Record<byte[]> next() throws IOException, InterruptedException {
        lock.lockInterruptibly();
        try {
            long since = System.nanoTime();
            while (queue.isEmpty() && failure == null) {
                arrived.await(1, TimeUnit.SECONDS);
                // While records were waiting nobody listened, so silence counts from here at the earliest.
                long silent = System.nanoTime() - Math.max(since, heardNanos);
                if (TimeUnit.NANOSECONDS.toMillis(silent) > limits.silenceMs() && queue.isEmpty()) {
                    fail("ddb2pulsar gave no sign of life for " + limits.silenceMs() + " ms");
                    kill();
                }
            }
            if (failure != null) { // not even what waits: it must not pass what has failed
                throw new IOException(failure.getMessage(), failure);
            }
            StreamRecord record = queue.remove();
            queuedBytes -= record.getValue().length;
            out++;
            taken.signal();
            return record;
        } finally {
            lock.unlock();
        }
    }

    void acknowledge(long number) {
        lock.lock();
        try {
            if (ackedCount == acked.length) { // the program bounds what is out, and so this
                acked = Arrays.copyOf(acked, 2 * acked.length);
            }
            acked[ackedCount++] = number;
            settled.signal();
            settle();
        } finally {
            lock.unlock();
        }
    }

    void failRecord(String why) {
        lock.lock();
        try {
            fail(why);
            settle();
        } finally {
            lock.unlock();
        }
    }

    private void settle() {
        out--;
        if (out == 0) {
            quiet.signalAll();
        }
    }

    /** Lock held. */
    private void fail(String why) {
        if (failure == null) {
            failure = new IOException(why);
            arrived.signalAll();
        }
    }

    /** Unlike Process.destroyForcibly() it leaves the streams open: what was said before still counts. */
    private void kill() {
        process.toHandle().destroyForcibly();
    }

    /** May be called again. Interrupted, it kills the program at once. */
    void close() {
        long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(limits.closeMs());
        boolean interrupted = false;
        try {
            awaitQuiet();
        } catch (InterruptedException e) {
            interrupted = true;
        }
        try {
            if (interrupted || !process.waitFor(until - System.nanoTime(), TimeUnit.NANOSECONDS)) {
                log.warn("ddb2pulsar did not end in time: it is killed");
                kill();
            }
            reader.join(REAP_MS);
        } catch (InterruptedException e) {
            interrupted = true;
            kill();
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** Waits until nothing is out, for a while; then the writer writes the last acknowledgements and closes. */
    private void awaitQuiet() throws InterruptedException {
        long unsettled = 0;
        lock.lock();
        try {
            long left = TimeUnit.MILLISECONDS.toNanos(limits.settleMs());
            while (out > 0 && !ended && !closing && left > 0) {
                left = quiet.awaitNanos(left);
            }
            unsettled = out;
        } finally {
            closing = true;
            settled.signalAll();
            taken.signalAll();
            lock.unlock();
        }
        if (unsettled > 0) {
            log.warn("{} records were not acknowledged; they will be delivered again", unsettled);
        }
    }

    // ---- our own threads ----

    private void readFrames() {
        String why = "it ended";
        try (DataInputStream in = new DataInputStream(new BufferedInputStream(process.getInputStream(), PIPE_BYTES))) {
            for (Frames.Frame frame = Frames.read(in); frame != null; frame = Frames.read(in)) {
                take(frame);
            }
        } catch (IOException | RuntimeException e) {
            why = e.toString();
            kill(); // what it says cannot be understood any more
        } catch (InterruptedException e) {
            why = "interrupted";
            kill();
        }
        ended(why);
    }

    private void take(Frames.Frame frame) throws IOException, InterruptedException {
        StreamRecord record = null;
        switch (frame.type()) {
            case Frames.RECORD -> record = new StreamRecord(Frames.content(frame), this);
            case Frames.HELLO -> log.info("ddb2pulsar {} runs as process {}", Frames.version(frame), process.pid());
            case Frames.ALIVE -> { }
            default -> throw new IOException("the program sent a frame of type " + (int) frame.type());
        }
        lock.lock();
        try {
            heardNanos = System.nanoTime();
            if (record != null) {
                enqueue(record);
            } else if (frame.type() == Frames.HELLO) {
                hello = true;
                arrived.signalAll();
            }
        } finally {
            lock.unlock();
        }
    }

    private void enqueue(StreamRecord record) throws InterruptedException {
        while (!closing && (queue.size() >= QUEUE_RECORDS || queuedBytes >= QUEUE_BYTES)) {
            taken.await();
        }
        if (closing) {
            return; // it is read again
        }
        queue.add(record);
        queuedBytes += record.getValue().length;
        arrived.signal();
    }

    private void ended(String why) {
        String code = "none";
        try {
            if (!process.waitFor(REAP_MS, TimeUnit.MILLISECONDS)) {
                kill();
            }
            code = process.waitFor(REAP_MS, TimeUnit.MILLISECONDS) ? String.valueOf(process.exitValue()) : code;
            logger.join(REAP_MS); // it may have said why
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        log.info("ddb2pulsar has ended with exit code {}", code);
        lock.lock();
        try {
            ended = true;
            fail("ddb2pulsar ended with exit code " + code + ": " + (lastError.isEmpty() ? why : lastError));
            quiet.signalAll();
            settled.signalAll();
        } finally {
            lock.unlock();
        }
    }

    private void writeFrames() {
        try (DataOutputStream to =
                new DataOutputStream(new BufferedOutputStream(process.getOutputStream(), PIPE_BYTES))) {
            Frames.writeConfig(to, configuration);
            long[] numbers = new long[256];
            for (int count = awaitAcked(); count > 0; count = awaitAcked()) {
                lock.lock();
                try {
                    long[] full = acked;
                    acked = numbers;
                    numbers = full;
                    count = ackedCount;
                    ackedCount = 0;
                } finally {
                    lock.unlock();
                }
                Frames.writeAcked(to, numbers, count);
            }
        } catch (IOException e) {
            kill(); // nothing can be acknowledged; the reader tells its end
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** 0: it closes, and all is written. */
    private int awaitAcked() throws InterruptedException {
        lock.lock();
        try {
            while (ackedCount == 0 && !closing && !ended) {
                settled.await();
            }
            return ackedCount;
        } finally {
            lock.unlock();
        }
    }

    private void readLog() {
        try (BufferedReader in =
                new BufferedReader(new InputStreamReader(process.getErrorStream(), StandardCharsets.UTF_8))) {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                tell(line);
            }
        } catch (IOException e) {
            log.warn("the log of ddb2pulsar cannot be read", e);
        }
    }

    /** "2026-01-01T00:00:00.000Z info  area event key=value..."; what has no such form is an error's sentence. */
    private void tell(String line) {
        String[] words = line.split(" +", 3);
        String text = words.length == 3 ? words[2] : line;
        switch (words.length == 3 ? words[1] : "") {
            case "debug" -> log.debug(text);
            case "info" -> log.info(text);
            case "warn" -> log.warn(text);
            case "error" -> tellError(text);
            default -> tellError(line);
        }
    }

    private void tellError(String text) {
        log.error(text);
        lock.lock();
        try {
            lastError = text;
        } finally {
            lock.unlock();
        }
    }
}
