package ddb2pulsar;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * The native program, unpacked and started. It brings its loader and all its libraries, so that it runs on any Linux for
 * x86_64, also where the C library is another one, as in Pulsar's own image.
 */
final class Program {
    private static final String RESOURCES = "/native/linux-x86_64/";
    private static final String LOADER = "ld-linux-x86-64.so.2";
    private static final String NAME = "ddb2pulsar";

    private final Path folder;
    private final Process process;

    private Program(Path folder, Process process) {
        this.folder = folder;
        this.process = process;
    }

    static Program start() throws IOException {
        String system = System.getProperty("os.name") + " " + System.getProperty("os.arch");
        if (!system.equals("Linux amd64")) {
            throw new UnsupportedOperationException("this archive runs on Linux amd64 only; here is " + system);
        }
        // Of a name that nobody could have known, and for this user alone.
        Path folder = Files.createTempDirectory(
                NAME + "-", PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        try {
            for (String name : resource("files").lines().toList()) {
                unpack(name, folder.resolve(name));
            }
            ProcessBuilder builder = new ProcessBuilder(List.of(
                    folder.resolve(LOADER).toString(), "--inhibit-cache", "--library-path", folder.toString(),
                    folder.resolve(NAME).toString(), "pipe"));
            withoutForeignCode(builder.environment());
            return new Program(folder, builder.start());
        } catch (IOException | RuntimeException e) {
            delete(folder);
            throw new IOException("ddb2pulsar cannot be started in " + folder.getParent()
                    + " (java.io.tmpdir), which has to allow executable files: " + e.getMessage(), e);
        }
    }

    /** What would make the loader, or the C library, take code from elsewhere. */
    static void withoutForeignCode(Map<String, String> environment) {
        environment.keySet().removeIf(
                name -> name.startsWith("LD_") || name.equals("GLIBC_TUNABLES") || name.equals("GCONV_PATH"));
    }

    private static String resource(String name) throws IOException {
        try (InputStream in = open(name)) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    private static void unpack(String name, Path to) throws IOException {
        try (InputStream in = open(name)) {
            Files.copy(in, to);
        }
        boolean runs = name.equals(LOADER) || name.equals(NAME);
        Files.setPosixFilePermissions(to, PosixFilePermissions.fromString(runs ? "r-x------" : "r--------"));
    }

    private static InputStream open(String name) throws IOException {
        InputStream in = Program.class.getResourceAsStream(RESOURCES + name);
        if (in == null) {
            throw new IOException("the archive has no " + RESOURCES + name);
        }
        return in;
    }

    Process process() {
        return process;
    }

    /** Deletes the files. Once the program runs it does not need them any more. */
    void deleteFiles() {
        delete(folder);
    }

    private static void delete(Path folder) {
        try (Stream<Path> paths = Files.walk(folder)) {
            for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        } catch (IOException | UncheckedIOException e) {
            // They lie in a folder for temporary files.
        }
    }
}
