package ddb2pulsar;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ConfigurationTest {
    private static final Path INSTANCE = Path.of("public", "default", "orders-3");

    @Test
    void jsonOfWhatAFileCanHold() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("a\"\\", List.of(1, 2.5, true, "x\n"));
        map.put("ü", null);
        assertEquals("{\"a\\\"\\\\\":[1,2.5,true,\"x\\u000a\"],\"\\u00fc\":null}", Configuration.json(map));
    }

    @Test
    void eachInstanceHasAStateFolderOfItsOwn() {
        assertEquals("{\"configs\":{\"stateDirectory\":\"/state/public/default/orders-3\"}}",
                Configuration.of(Map.of("stateDirectory", " /state "), INSTANCE, name -> null));
        assertTrue(Configuration.of(Map.of(), INSTANCE, name -> null).contains("/ddb2pulsar/public/default/orders-3\""));
    }

    @Test
    void aSecretOfTheFrameworkGoesBeforeTheConfiguration() {
        Map<String, Object> given = Map.of("stateDirectory", "/s", "awsCredentialPluginParam", "old");
        String text = Configuration.of(given, INSTANCE, Map.of("awsCredentialPluginParam", "new", "other", "x")::get);
        assertTrue(text.contains("\"awsCredentialPluginParam\":\"new\""), text);
        assertFalse(text.contains("old"), text);
        assertFalse(text.contains("other"), text);
        assertTrue(Configuration.of(given, INSTANCE, Map.of("awsCredentialPluginParam", " ")::get).contains("old"));
    }

    @Test
    void noForeignCodeInTheProgram() {
        Map<String, String> environment = new HashMap<>(Map.of("LD_PRELOAD", "/x.so", "LD_LIBRARY_PATH", "/x",
                "LD_AUDIT", "/x.so", "GLIBC_TUNABLES", "x", "GCONV_PATH", "/x", "AWS_PROFILE", "p"));
        Program.withoutForeignCode(environment);
        assertEquals(Map.of("AWS_PROFILE", "p"), environment);
    }
}
