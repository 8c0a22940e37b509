package ddb2pulsar;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;
import java.util.function.UnaryOperator;

/** The source's configuration as a file of the program, in JSON. */
final class Configuration {
    /** What Pulsar's secrets may give instead of the configuration. */
    private static final List<String> SECRETS =
            List.of("awsCredentialPluginParam", "leaseTable.awsCredentialPluginParam");

    private static final String STATE_DIRECTORY = "stateDirectory";

    private Configuration() {}

    /**
     * What was given, with the framework's secrets before it.
     *
     * @param instance one of several that may run on one host; folders below the state folder
     */
    static String of(Map<String, Object> given, Path instance, UnaryOperator<String> secrets) {
        Map<String, Object> configs = new LinkedHashMap<>(given);
        for (String name : SECRETS) {
            String secret = secrets.apply(name);
            if (secret != null && !secret.isBlank()) {
                configs.put(name, secret);
            }
        }
        Path folder = stateFolder(given, System.getenv());
        if (folder != null) {
            // Each instance has a worker id of its own, which it finds again after a restart.
            configs.put(STATE_DIRECTORY, folder.resolve(instance).toString());
        }
        return json(Map.of("configs", configs));
    }

    /** As the program chooses it; null when there is none. */
    private static Path stateFolder(Map<String, Object> given, Map<String, String> environment) {
        String configured = String.valueOf(given.getOrDefault(STATE_DIRECTORY, ""));
        if (!configured.isBlank()) {
            return Path.of(configured.strip());
        }
        String stateHome = environment.get("XDG_STATE_HOME");
        String home = environment.get("HOME");
        if (stateHome != null && !stateHome.isBlank()) {
            return Path.of(stateHome, "ddb2pulsar");
        }
        return home == null || home.isBlank() ? null : Path.of(home, ".local", "state", "ddb2pulsar");
    }

    /** Of what a JSON or YAML file can hold. */
    static String json(Object value) {
        if (value instanceof Map<?, ?> map) {
            StringJoiner members = new StringJoiner(",", "{", "}");
            map.forEach((key, member) -> members.add(quote(String.valueOf(key)) + ":" + json(member)));
            return members.toString();
        }
        if (value instanceof Iterable<?> list) {
            StringJoiner elements = new StringJoiner(",", "[", "]");
            list.forEach(element -> elements.add(json(element)));
            return elements.toString();
        }
        if (value == null || value instanceof Boolean || value instanceof Number) {
            return String.valueOf(value);
        }
        return quote(value.toString());
    }

    private static String quote(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                quoted.append('\\').append(c);
            } else if (c < ' ' || c >= 0x7f) {
                quoted.append(String.format("\\u%04x", (int) c));
            } else {
                quoted.append(c);
            }
        }
        return quoted.append('"').toString();
    }
}
