#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/config.h"
#include "config/property.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ARN "arn:aws:dynamodb:us-west-2:111122223333:table/TestTable/stream/2015-05-11T21:21:33.291"
#define ARN_SET "awsDynamodbStreamArn=" ARN
#define PARAM_VARIABLE "DDB2PULSAR_AWS_CREDENTIAL_PLUGIN_PARAM"
#define AUTH_VARIABLE "DDB2PULSAR_AUTH_PARAMS"

/* Files of the tests are called c.yaml, in a folder of their own, so that places in messages are known. */
static char folder[] = "/tmp/test_config.XXXXXX";

static int enter_folder(void **state) {
    (void)state;
    return mkdtemp(folder) != NULL && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state) {
    (void)state;
    (void)unlink("c.yaml");
    (void)unlink("client.conf");
    return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static const char *const none[] = {NULL};

/* NULL file text: no file. Lists end with NULL. */
static struct config *load(const char *file, const char *const *sets,
                           const char *const *environment, struct err *err) {
    if (file != NULL) {
        FILE *stream = fopen("c.yaml", "w");
        assert_non_null(stream);
        assert_true(fputs(file, stream) >= 0);
        assert_int_equal(fclose(stream), 0);
    }
    struct config_input input = {
        .file = file != NULL ? "c.yaml" : NULL,
        .sets = sets,
        .environment = environment,
    };
    while (sets[input.set_count] != NULL) {
        input.set_count++;
    }
    *err = ERR_NONE;
    return config_load(&input, err);
}

static struct config *load_good(const char *file, const char *const *sets,
                                const char *const *environment) {
    struct err err;
    struct config *config = load(file, sets, environment, &err);
    if (config == NULL) {
        fail_msg("%s", err.text);
    }
    return config;
}

static void assert_refused_in(const char *file, const char *const *sets,
                              const char *const *environment, const char *expected) {
    struct err err;
    struct config *config = load(file, sets, environment, &err);
    assert_null(config);
    assert_string_equal(err.text, expected);
    assert_int_equal(err.code, ERR_CONFIG);
    assert_int_equal(err_exit_code(err.code), 2);
}

/* A property with a value, beside what is required. */
static void assert_set_refused(const char *set, const char *expected) {
    const char *const sets[] = {ARN_SET, "topicName=t", set, NULL};
    assert_refused_in(NULL, sets, none, expected);
}

static bool has_note(const struct config *config, const char *text) {
    for (size_t i = 0; i < config->note_count; i++) {
        if (strcmp(config->notes[i], text) == 0) {
            return true;
        }
    }
    return false;
}

static void assert_origin(const struct config *config, enum config_key key, const char *expected) {
    char text[256];
    config_origin_text(config, key, text, sizeof text);
    assert_string_equal(text, expected);
}

/* ---- What is accepted. */

static void defaults(void **state) {
    (void)state;
    const char *const sets[] = {ARN_SET, "topicName=t", NULL};
    struct config *config = load_good(NULL, sets, none);
    assert_string_equal(config->stream_arn, ARN);
    assert_string_equal(config->topic_name, "t");
    assert_int_equal(config->initial_position, CONFIG_POSITION_LATEST);
    assert_string_equal(config->application_name, "pulsar-dynamodb");
    assert_string_equal(config->lease_table, "pulsar-dynamodb");
    assert_int_equal(config->checkpoint_interval_ms, 60000);
    assert_int_equal(config->backoff_time_ms, 3000);
    assert_int_equal(config->num_retries, 3);
    assert_int_equal(config->receive_queue_size, 1000);
    assert_int_equal(config->message_key, MESSAGE_KEY_ITEM);
    assert_int_equal(config->sink, CONFIG_SINK_PULSAR);
    assert_int_equal(config->on_data_loss, CONFIG_POLICY_FAIL);
    assert_int_equal(config->on_record_error, CONFIG_POLICY_FAIL);
    assert_int_equal(config->min_poll_interval_ms, 200);
    assert_int_equal(config->max_poll_interval_ms, 2000);
    assert_int_equal(config->failover_time_ms, 10000);
    assert_int_equal(config->stop_timeout_ms, 25000);
    assert_int_equal(config->describe_stream_rate, 5);
    assert_int_equal(config->lease_table_billing, TABLE_BILLING_PAY_PER_REQUEST);
    assert_int_equal(config->memory_budget, 24 * 1024 * 1024);
    assert_int_equal(config->lanes, 0);
    assert_string_equal(config->service_url, "pulsar://localhost:6650");
    assert_int_equal(config->compression, PULSAR_COMPRESSION_LZ4);
    assert_int_equal(config->hashing, PULSAR_HASHING_MURMUR3);
    assert_true(config->batching);
    assert_int_equal(config->batching_max_messages, 1000);
    assert_int_equal(config->batching_max_bytes, 128 * 1024);
    assert_int_equal(config->batching_max_delay_ms, 10);
    assert_int_equal(config->max_pending_messages, 65536);
    assert_string_equal(config->aws_region, "");
    assert_string_equal(config->streams_region, "us-west-2");
    assert_string_equal(config->table_region, "us-west-2");
    assert_string_equal(config->access.access_key, "");
    assert_string_equal(config->access.secret_key, "");
    assert_string_equal(config->access.session_token, "");
    assert_string_equal(config->state_directory, "");
    assert_int_equal(config->note_count, 0);
    assert_false(config->source_file);
    assert_true(str_is(config->arn.table, "TestTable"));
    assert_origin(config, CONFIG_KEY_stream_arn, "--set");
    assert_origin(config, CONFIG_KEY_lanes, "default");
    config_free(config);
}

/* As in Pulsar's documentation of the DynamoDB source, with the topic that every source has. */
static const char *const documented[] = {
    "{\n"
    "  \"configs\": {\n"
    "    \"awsEndpoint\": \"https://some.endpoint.aws\",\n"
    "    \"awsRegion\": \"us-east-1\",\n"
    "    \"awsDynamodbStreamArn\": \"" ARN "\",\n"
    "    \"awsCredentialPluginParam\": "
    "\"{\\\"accessKey\\\":\\\"myKey\\\",\\\"secretKey\\\":\\\"my-Secret\\\"}\",\n"
    "    \"applicationName\": \"My test application\",\n"
    "    \"checkpointInterval\": \"30000\",\n"
    "    \"backoffTime\": \"4000\",\n"
    "    \"numRetries\": \"3\",\n"
    "    \"receiveQueueSize\": 2000,\n"
    "    \"initialPositionInStream\": \"TRIM_HORIZON\",\n"
    "    \"startAtTime\": \"2019-03-05T19:28:58.000Z\"\n"
    "  },\n"
    "  \"topicName\": \"persistent://public/default/t\"\n"
    "}\n",
    "configs:\n"
    "  awsEndpoint: \"https://some.endpoint.aws\"\n"
    "  awsRegion: \"us-east-1\"\n"
    "  awsDynamodbStreamArn: \"" ARN "\"\n"
    "  awsCredentialPluginParam: "
    "\"{\\\"accessKey\\\":\\\"myKey\\\",\\\"secretKey\\\":\\\"my-Secret\\\"}"
    "\"\n"
    "  applicationName: \"My test application\"\n"
    "  checkpointInterval: 30000\n"
    "  backoffTime: 4000\n"
    "  numRetries: 3\n"
    "  receiveQueueSize: 2000\n"
    "  initialPositionInStream: \"TRIM_HORIZON\"\n"
    "  startAtTime: \"2019-03-05T19:28:58.000Z\"\n"
    "topicName: persistent://public/default/t\n",
};

static void examples_of_pulsars_documentation(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct config *config = load_good(documented[i], none, none);
        assert_string_equal(config->aws_endpoint, "https://some.endpoint.aws");
        assert_string_equal(config->application_name, "My test application");
        assert_string_equal(config->lease_table, "My-test-application");
        assert_int_equal(config->checkpoint_interval_ms, 30000);
        assert_int_equal(config->backoff_time_ms, 4000);
        assert_int_equal(config->num_retries, 3);
        assert_int_equal(config->receive_queue_size, 2000);
        assert_int_equal(config->initial_position, CONFIG_POSITION_TRIM_HORIZON);
        assert_string_equal(config->access.access_key, "myKey");
        assert_string_equal(config->access.secret_key, "my-Secret");
        assert_string_equal(config->access.session_token, "");
        assert_true(config->source_file);
        /* With an endpoint of its own, the stream's requests are signed for awsRegion. */
        assert_string_equal(config->streams_region, "us-east-1");
        assert_string_equal(config->table_region, "us-east-1");
        assert_int_equal(config->note_count, 4);
        assert_true(has_note(config, "startAtTime is ignored: it only counts with "
                                     "initialPositionInStream AT_TIMESTAMP"));
        assert_true(has_note(config, "the lease table of applicationName My test application is "
                                     "My-test-application"));
        assert_true(has_note(config, "messages have the item's primary key as their key, where the "
                                     "Java connector takes the event's id; messageKey eventId does "
                                     "as it does"));
        config_free(config);
    }
}

static void region_beside_the_arns_serves_the_lease_table(void **state) {
    (void)state;
    const char *const sets[] = {"awsEndpoint=", NULL};
    struct config *config = load_good(documented[0], sets, none);
    assert_string_equal(config->aws_endpoint, "");
    assert_string_equal(config->streams_region, "us-west-2");
    assert_string_equal(config->table_region, "us-east-1");
    assert_true(has_note(config, "awsRegion us-east-1 is not the ARN's region us-west-2: the lease "
                                 "table is in us-east-1, the stream is read in us-west-2"));
    config_free(config);
}

static void blank_is_absent(void **state) {
    (void)state;
    struct config *config = load_good("awsDynamodbStreamArn: " ARN "\n"
                                      "topicName: t\n"
                                      "awsEndpoint: \"\"\n"
                                      "dynamoEndpoint: \" \"\n"
                                      "startAtTime: \"\"\n"
                                      "cloudwatchEndpoint: \" \"\n"
                                      "numRetries: ''\n"
                                      "backoffTime: null\n"
                                      "messageKey:\n",
                                      none, none);
    assert_string_equal(config->aws_endpoint, "");
    assert_string_equal(config->dynamo_endpoint, "");
    assert_int_equal(config->num_retries, 3);
    assert_int_equal(config->backoff_time_ms, 3000);
    assert_int_equal(config->message_key, MESSAGE_KEY_ITEM);
    assert_origin(config, CONFIG_KEY_num_retries, "default");
    assert_int_equal(config->note_count, 0);
    config_free(config);
}

static void precedence(void **state) {
    (void)state;
    const char *file = "awsDynamodbStreamArn: " ARN "\n"
                       "topicName: t\n"
                       "numRetries: 11\n"
                       "lanes: 11\n"
                       "failoverTime: 11 s\n";
    const char *const environment[] = {"PATH=/bin", "DDB2PULSAR_NUM_RETRIES=22",
                                       "DDB2PULSAR_LANES= 22 ", "DDB2PULSAR_FAILOVER_TIME=", NULL};
    const char *const sets[] = {"lanes=32", "lanes=33", NULL};
    struct config *config = load_good(file, sets, environment);
    assert_int_equal(config->failover_time_ms, 11000); /* an empty variable is absent */
    assert_origin(config, CONFIG_KEY_failover_time_ms, "c.yaml:5:15");
    assert_int_equal(config->num_retries, 22);
    assert_origin(config, CONFIG_KEY_num_retries, "environment variable DDB2PULSAR_NUM_RETRIES");
    assert_int_equal(config->lanes, 33);
    assert_origin(config, CONFIG_KEY_lanes, "--set");
    config_free(config);

    const char *const back[] = {"lanes=", "numRetries= ", NULL};
    config = load_good(file, back, environment);
    assert_int_equal(config->lanes, 0);
    assert_int_equal(config->num_retries, 3);
    assert_origin(config, CONFIG_KEY_num_retries, "default");
    config_free(config);
}

static void a_command_decides_above_all(void **state) {
    (void)state;
    const char *const sets[] = {ARN_SET, "sink=pulsar", NULL};
    const char *const forced = "sink=stdout";
    const struct config_input input = {
        .sets = sets, .set_count = 2, .forced = &forced, .forced_count = 1};
    struct err err = ERR_NONE;
    struct config *config = config_load(&input, &err);
    assert_non_null(config);
    assert_int_equal(config->sink, CONFIG_SINK_STDOUT);
    assert_origin(config, CONFIG_KEY_sink, "this command");
    config_free(config);
}

static void a_text_stands_for_a_file(void **state) {
    (void)state;
    struct config_input input = {
        .file = "configuration",
        .text = STR("{\"configs\":{\"awsDynamodbStreamArn\":\"" ARN "\",\n\"sink\":\"none\"}}"),
    };
    struct err err = ERR_NONE;
    struct config *config = config_load(&input, &err);
    assert_non_null(config);
    assert_string_equal(config->stream_arn, ARN);
    assert_origin(config, CONFIG_KEY_sink, "configuration:2:8");
    config_free(config);
    input.text = STR("{");
    assert_null(config_load(&input, &err));
    assert_int_equal(strncmp(err.text, "configuration:", 14), 0);
}

static void environment_names_with_and_without_underscores(void **state) {
    (void)state;
    const char *const environment[] = {"DDB2PULSAR_AWS_DYNAMODB_STREAM_ARN=" ARN,
                                       "DDB2PULSAR_TOPICNAME=t",
                                       "DDB2PULSAR_BATCHING_MAX_PUBLISH_DELAY_MS=7", NULL};
    struct config *config = load_good(NULL, none, environment);
    assert_string_equal(config->stream_arn, ARN);
    assert_string_equal(config->topic_name, "t");
    assert_int_equal(config->batching_max_delay_ms, 7);
    config_free(config);
}

static void foreign_variables_are_noted(void **state) {
    (void)state;
    const char *const sets[] = {ARN_SET, "topicName=t", NULL};
    const char *const environment[] = {"DDB2PULSAR_PORT_9090_TCP=tcp://10.0.0.1:9090",
                                       "DDB2PULSAR_SERVICE_HOST=10.0.0.1", NULL};
    struct config *config = load_good(NULL, sets, environment);
    assert_true(has_note(config, "without meaning here and ignored: DDB2PULSAR_PORT_9090_TCP, "
                                 "DDB2PULSAR_SERVICE_HOST"));
    config_free(config);
}

static void source_config_of_pulsar_admin(void **state) {
    (void)state;
    struct config *config = load_good("tenant: public\n"
                                      "namespace: default\n"
                                      "name: ddb\n"
                                      "className: org.apache.pulsar.io.dynamodb.DynamoDBSource\n"
                                      "archive: connectors/x.nar\n"
                                      "topicName: t\n"
                                      "parallelism: 3\n"
                                      "processingGuarantees: ATMOST_ONCE\n"
                                      "schemaType: ''\n"
                                      "secrets: {a: {path: p, key: k}}\n"
                                      "resources: {cpu: 1.0, ram: 1, disk: 2}\n"
                                      "producerConfig:\n"
                                      "  maxPendingMessages: 500\n"
                                      "  maxPendingMessagesAcrossPartitions: 5000\n"
                                      "  useThreadLocalProducers: false\n"
                                      "  cryptoConfig: null\n"
                                      "  compressionType: zstd\n"
                                      "  hashingScheme: JavaStringHash\n"
                                      "  batchBuilder: KEY_BASED\n"
                                      "  batchingConfig:\n"
                                      "    enabled: false\n"
                                      "    batchingMaxMessages: 77\n"
                                      "    batchingMaxBytes: 65536\n"
                                      "    batchingMaxPublishDelayMs: 5\n"
                                      "configs:\n"
                                      "  awsDynamodbStreamArn: " ARN "\n"
                                      "  messageKey: eventId\n",
                                      none, none);
    assert_true(config->source_file);
    assert_int_equal(config->max_pending_messages, 500);
    assert_int_equal(config->compression, PULSAR_COMPRESSION_ZSTD);
    assert_int_equal(config->hashing, PULSAR_HASHING_JAVA_STRING);
    assert_false(config->batching);
    assert_int_equal(config->batching_max_messages, 77);
    assert_int_equal(config->batching_max_bytes, 65536);
    assert_int_equal(config->batching_max_delay_ms, 5);
    assert_int_equal(config->message_key, MESSAGE_KEY_EVENT_ID);
    assert_int_equal(config->note_count, 2); /* chosen message keys need no note */
    assert_true(has_note(config, "processingGuarantees ATMOST_ONCE runs as ATLEAST_ONCE"));
    assert_true(has_note(config,
                         "without meaning here and ignored: tenant, namespace, name, className, "
                         "archive, parallelism, resources, "
                         "producerConfig.maxPendingMessagesAcrossPartitions, "
                         "producerConfig.useThreadLocalProducers, producerConfig.batchBuilder, "
                         "secrets.a"));
    config_free(config);
}

static void names_of_choices_and_units(void **state) {
    (void)state;
    const char *const sets[] = {ARN_SET,
                                "sink=none",
                                "messageKey=none",
                                "onDataLoss=continue",
                                "onRecordError=skip",
                                "leaseTableBillingMode=PROVISIONED",
                                "memoryBudget=1 GiB",
                                "lanes=256",
                                "failoverTime=1 h",
                                "dynamoEndpoint=localhost:8000",
                                "producerConfig.compressionType=SNAPPY",
                                "initialPositionInStream=trim_horizon",
                                "stateDirectory=/var/lib/x",
                                NULL};
    struct config *config = load_good(NULL, sets, none);
    assert_int_equal(config->sink, CONFIG_SINK_NONE); /* and so no topic is needed */
    assert_int_equal(config->message_key, MESSAGE_KEY_NONE);
    assert_int_equal(config->on_data_loss, CONFIG_POLICY_GO_ON);
    assert_int_equal(config->on_record_error, CONFIG_POLICY_GO_ON);
    assert_int_equal(config->lease_table_billing, TABLE_BILLING_PROVISIONED);
    assert_int_equal(config->memory_budget, 1 << 30);
    assert_int_equal(config->lanes, 256);
    assert_int_equal(config->failover_time_ms, 3600000);
    assert_string_equal(config->dynamo_endpoint, "https://localhost:8000");
    assert_int_equal(config->compression, PULSAR_COMPRESSION_SNAPPY);
    assert_int_equal(config->initial_position, CONFIG_POSITION_TRIM_HORIZON);
    assert_string_equal(config->state_directory, "/var/lib/x");
    config_free(config);
}

static void state_directory_follows_the_environment(void **state) {
    (void)state;
    static const char *const expected[] = {"/run/first", "/xdg/ddb2pulsar",
                                           "/home/me/.local/state/ddb2pulsar"};
    const char *const sets[] = {ARN_SET, "topicName=t", NULL};
    const char *const environment[] = {"STATE_DIRECTORY=/run/first:/run/second",
                                       "XDG_STATE_HOME=/xdg", "HOME=/home/me", NULL};
    for (size_t i = 0; i < 3; i++) {
        struct config *config = load_good(NULL, sets, environment + i);
        assert_string_equal(config->state_directory, expected[i]);
        assert_string_equal(config_shown_value(config, CONFIG_KEY_state_directory), expected[i]);
        config_free(config);
    }
}

static void credentials(void **state) {
    (void)state;
    const char *const sets[] = {ARN_SET, "topicName=t", NULL};
    const char *const with_token[] = {
        PARAM_VARIABLE "={\"accessKey\":\"A\",\"secretKey\":\"S\",\"sessionToken\":\"T\"}", NULL};
    struct config *config = load_good(NULL, sets, with_token);
    assert_string_equal(config->access.access_key, "A");
    assert_string_equal(config->access.secret_key, "S");
    assert_string_equal(config->access.session_token, "T");
    config_free(config);

    const char *const chain[] = {
        ARN_SET, "topicName=t",
        "awsCredentialPluginName=org.apache.pulsar.io.aws.AwsDefaultProviderChainPlugin", NULL};
    const char *const whatever[] = {PARAM_VARIABLE "=whatever", NULL};
    config = load_good(NULL, chain, whatever);
    assert_string_equal(config->access.access_key, "");
    assert_true(has_note(config, "awsCredentialPluginParam is ignored: "
                                 "AwsDefaultProviderChainPlugin takes none"));
    config_free(config);
}

static void a_plugin_of_ones_own(void **state) {
    (void)state;
    const char *const sets[] = {ARN_SET, "topicName=t", "awsCredentialPluginName=/lib/keys.so",
                                NULL};
    const char *const param[] = {PARAM_VARIABLE "=anything at all", NULL};
    struct config *config = load_good(NULL, sets, param);
    assert_string_equal(config->access.plugin, "/lib/keys.so");
    assert_string_equal(config->access.plugin_param, "anything at all");
    assert_string_equal(config->access.access_key, "");
    config_free(config);
}

static void secrets_are_masked(void **state) {
    (void)state;
    const char *const sets[] = {
        ARN_SET,
        "topicName=t",
        "authPlugin=org.apache.pulsar.client.impl.auth.AuthenticationToken",
        NULL,
    };
    const char *const token[] = {AUTH_VARIABLE "=token:abc", NULL};
    struct config *config = load_good(NULL, sets, token);
    assert_string_equal(config->auth_params, "token:abc");
    assert_string_equal(config_shown_value(config, CONFIG_KEY_auth_params), "***");
    assert_string_equal(config_shown_value(config, CONFIG_KEY_credential_param), "");
    assert_string_equal(config_shown_value(config, CONFIG_KEY_topic_name), "t");
    config_free(config);
}

static void table_names_have_one_dash_for_a_character(void **state) {
    (void)state;
    const char *const sets[] = {ARN_SET, "topicName=t", "applicationName=M\xc3\xbcnchen/1_a.b-c",
                                NULL};
    struct config *config = load_good(NULL, sets, none);
    assert_string_equal(config->lease_table, "M-nchen-1_a.b-c");
    config_free(config);
}

/* ---- What is refused, and how it is said. */

static void what_is_missing(void **state) {
    (void)state;
    assert_refused_in(
        NULL, none, none,
        "awsDynamodbStreamArn is missing: it names the stream to read; give it in the "
        "configuration file, as environment variable "
        "DDB2PULSAR_AWS_DYNAMODB_STREAM_ARN, or with --set awsDynamodbStreamArn=...");
    const char *const sets[] = {ARN_SET, NULL};
    assert_refused_in(NULL, sets, none,
                      "topicName is missing: sink pulsar needs a topic to send to; give it in the "
                      "configuration file, as environment variable DDB2PULSAR_TOPIC_NAME, or with "
                      "--set topicName=...");
}

static void unknown_keys(void **state) {
    (void)state;
    assert_refused_in("configs:\n  awsRegoin: x\n", none, none,
                      "c.yaml:2:3: there is no property \"configs.awsRegoin\"; did you mean "
                      "awsRegion?");
    assert_refused_in("paralelism: 1\n", none, none,
                      "c.yaml:1:1: there is no property \"paralelism\"; did you mean parallelism?");
    assert_refused_in(
        "producerConfig: {compresionType: LZ4}\n", none, none,
        "c.yaml:1:18: there is no property \"producerConfig.compresionType\"; did you "
        "mean producerConfig.compressionType?");
    assert_refused_in("colour: s3cret\n", none, none,
                      "c.yaml:1:1: there is no property \"colour\"; ddb2pulsar config reference "
                      "lists all");
    assert_set_refused("topicNam=x", "--set: there is no property \"topicNam\"; did you mean "
                                     "topicName?");
    assert_set_refused("topicName", "--set: expected KEY=VALUE");
    assert_set_refused("=x", "--set: expected KEY=VALUE");
    const char *const environment[] = {"DDB2PULSAR_AWS_REGOIN=x", NULL};
    assert_refused_in(NULL, none, environment,
                      "environment variable DDB2PULSAR_AWS_REGOIN: there is no such property; did "
                      "you mean DDB2PULSAR_AWS_REGION?");
}

static void bad_values(void **state) {
    (void)state;
    assert_refused_in("awsDynamodbStreamArn: " ARN "\nnumRetries: three\n", none, none,
                      "c.yaml:2:13: numRetries is \"three\": not a whole number; allowed: 0 to "
                      "1000");
    const char *const environment[] = {"DDB2PULSAR_NUM_RETRIES=-1", NULL};
    assert_refused_in(NULL, none, environment,
                      "environment variable DDB2PULSAR_NUM_RETRIES: numRetries is \"-1\": not a "
                      "whole number; allowed: 0 to 1000");
    assert_set_refused("numRetries=1001",
                       "--set: numRetries is \"1001\": out of bounds; allowed: 0 to 1000");
    assert_set_refused(
        "failoverTime=999",
        "--set: failoverTime is \"999\": out of bounds; allowed: 1000 to 3600000 ms, "
        "also with a unit: ms, s, min, h");
    assert_set_refused("backoffTime=soon",
                       "--set: backoffTime is \"soon\": not a time; allowed: 0 to 3600000 ms, also "
                       "with a unit: ms, s, min, h");
    assert_set_refused("memoryBudget=much",
                       "--set: memoryBudget is \"much\": not a size; allowed: 8 MiB to 1 TiB, in "
                       "bytes or with a unit: KiB, MiB, GiB");
    assert_set_refused(
        "memoryBudget=1 MiB",
        "--set: memoryBudget is \"1 MiB\": out of bounds; allowed: 8 MiB to 1 TiB, in "
        "bytes or with a unit: KiB, MiB, GiB");
    assert_set_refused("lanes=0", "--set: lanes is \"0\": out of bounds; allowed: 1 to 256, or "
                                  "auto");
    assert_set_refused("httpListen=8080",
                       "--set: httpListen is \"8080\": not an address to listen at; allowed: "
                       "host:port, as 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080");
    assert_set_refused("httpListen=localhost:0",
                       "--set: httpListen is \"localhost:0\": not an address to listen at; "
                       "allowed: host:port, as 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080");
    assert_set_refused("lanes=257", "--set: lanes is \"257\": out of bounds; allowed: 1 to 256, or "
                                    "auto");
    assert_set_refused("batchingEnabled=yes",
                       "--set: batchingEnabled is \"yes\": not a truth value; "
                       "allowed: true or false");
    assert_set_refused("sink=kafka", "--set: sink is \"kafka\": not one of its values; allowed: "
                                     "pulsar, stdout, pipe or none");
    assert_set_refused("onDataLoss=skip", "--set: onDataLoss is \"skip\": not one of its values; "
                                          "allowed: fail or continue");
    assert_set_refused(
        "compressionType=BROTLI",
        "--set: compressionType is \"BROTLI\": not one of its values; allowed: NONE, "
        "LZ4, ZLIB, ZSTD or SNAPPY");
    assert_set_refused("awsEndpoint=http://host/path",
                       "--set: awsEndpoint is \"http://host/path\": not a usable URL, it may only "
                       "have a scheme, a host and a port; allowed: http[s]://host[:port]");
    assert_set_refused("awsRegion=US-EAST",
                       "--set: awsRegion is \"US-EAST\": a region has only lower-case letters, "
                       "digits and '-'; allowed: e.g. us-east-1");
    assert_set_refused("awsDynamodbStreamArn=arn:aws:sqs:x",
                       "--set: awsDynamodbStreamArn is \"arn:aws:sqs:x\": not a DynamoDB stream's "
                       "ARN, it has too few parts; allowed: arn:<partition>:dynamodb:<region>:"
                       "<account>:table/<table>/stream/<label>");
    assert_set_refused("applicationName=ab",
                       "--set: applicationName is \"ab\": not usable as the lease table's name; "
                       "allowed: 3 to 255 characters");
}

static void wrong_shapes(void **state) {
    (void)state;
    assert_refused_in("awsRegion: [us-east-1]\n", none, none,
                      "c.yaml:1:12: awsRegion is a list: a single value is allowed");
    assert_refused_in("awsRegion: {a: b}\n", none, none,
                      "c.yaml:1:12: awsRegion is a mapping: a single value is allowed");
    assert_refused_in("configs: text\n", none, none,
                      "c.yaml:1:10: configs is \"text\": keys and values are allowed");
    assert_refused_in("configs: [1]\n", none, none,
                      "c.yaml:1:10: configs is a list: keys and values are allowed");
    assert_refused_in("processingGuarantees: [a]\n", none, none,
                      "c.yaml:1:23: processingGuarantees is a list: a single value is allowed");
    assert_refused_in("compressionType: LZ4\nproducerConfig:\n  compressionType: ZSTD\n", none,
                      none,
                      "c.yaml:3:20: producerConfig.compressionType is given twice, first in line 1 "
                      "(both mean the property compressionType)");
    const char *const environment[] = {"DDB2PULSAR_AWS_REGION=a", "DDB2PULSAR_AWSREGION=b", NULL};
    assert_refused_in(
        NULL, none, environment,
        "environment variable DDB2PULSAR_AWSREGION: awsRegion has another value under "
        "its other name");
    assert_refused_in("a: [\n", none, none,
                      "c.yaml:2:1: neither JSON nor YAML: did not find expected node content");
}

static void a_start_by_time(void **state) {
    (void)state;
    static const char *const times[] = {"1551814138000", "\"1551814138000\"",
                                        "2019-03-05T19:28:58.000Z", "\"2019-03-05T20:28:58+01\""};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        char file[512];
        (void)snprintf(file, sizeof file,
                       "awsDynamodbStreamArn: " ARN "\ntopicName: t\n"
                       "initialPositionInStream: AT_TIMESTAMP\nstartAtTime: %s\n",
                       times[i]);
        struct config *config = load_good(file, none, none);
        assert_int_equal(config->initial_position, CONFIG_POSITION_AT_TIMESTAMP);
        assert_int_equal(config->start_at_ms, 1551814138000);
        assert_int_equal(config->note_count, 0);
        config_free(config);
    }
    const char *const seconds[] = {ARN_SET, "topicName=t", "initialPositionInStream=AT_TIMESTAMP",
                                   "startAtTime=1551814138", NULL};
    struct config *config = load_good(NULL, seconds, none);
    assert_true(has_note(config, "startAtTime 1551814138 is 1970-01-18T23:03:34.138Z, so "
                                 "everything is read; numbers are milliseconds"));
    config_free(config);
}

static void a_start_by_time_needs_one(void **state) {
    (void)state;
    assert_set_refused("initialPositionInStream=AT_TIMESTAMP",
                       "startAtTime is missing: initialPositionInStream AT_TIMESTAMP starts there; "
                       "give it in the configuration file, as environment variable "
                       "DDB2PULSAR_START_AT_TIME, or with --set startAtTime=...");
    assert_set_refused("startAtTime=yesterday",
                       "--set: startAtTime is \"yesterday\": not a point in time; allowed: "
                       "milliseconds since 1970, or 2019-03-05T19:28:58.000Z");
    assert_set_refused("startAtTime=2019-02-29",
                       "--set: startAtTime is \"2019-02-29\": out of bounds; allowed: "
                       "milliseconds since 1970, or 2019-03-05T19:28:58.000Z");
}

static void effectively_once(void **state) {
    (void)state;
    struct config *config = load_good("configs: {topicName: t, awsDynamodbStreamArn: " ARN
                                      "}\nprocessingGuarantees: effectively_once\n",
                                      none, none);
    assert_int_equal(config->guarantees, CONFIG_EFFECTIVELY_ONCE);
    config_free(config);
    config = load_good("topicName: t\nsink: none\nprocessingGuarantees: EFFECTIVELY_ONCE\n"
                       "awsDynamodbStreamArn: " ARN "\n",
                       none, none);
    assert_int_equal(config->guarantees, CONFIG_ATLEAST_ONCE);
    assert_true(has_note(config, "processingGuarantees EFFECTIVELY_ONCE is ignored: it only counts "
                                 "with sink pulsar"));
    config_free(config);
    assert_refused_in(
        "topicName: t\nmessageKey: none\nprocessingGuarantees: EFFECTIVELY_ONCE\n"
        "awsDynamodbStreamArn: " ARN "\n",
        none, none,
        "c.yaml:3:23: processingGuarantees is \"EFFECTIVELY_ONCE\": a contradiction to "
        "messageKey none: without a key a message that is sent again may go to another "
        "partition; allowed: messageKey itemKey or eventId");
    assert_set_refused("processingGuarantees=TWICE",
                       "--set: processingGuarantees is \"TWICE\": not one of its values; allowed: "
                       "ATLEAST_ONCE, EFFECTIVELY_ONCE, ATMOST_ONCE or MANUAL");
}

static void what_this_version_does_not_do(void **state) {
    (void)state;
    assert_refused_in("producerConfig:\n  cryptoConfig:\n    cryptoKeyReaderClassName: c\n", none,
                      none,
                      "c.yaml:3:5: producerConfig.cryptoConfig: messages are not encrypted by this "
                      "program; remove it only if they may be sent as they are");
    assert_set_refused(
        "serviceUrl=http://host:8080",
        "--set: serviceUrl is \"http://host:8080\": not the URL of a Pulsar service; "
        "allowed: pulsar://host[:port][,host[:port]...] or pulsar+ssl://...");
    assert_set_refused("serviceUrl=pulsar+ssl://",
                       "--set: serviceUrl is \"pulsar+ssl://\": not the URL of a Pulsar service; "
                       "allowed: pulsar://host[:port][,host[:port]...] or pulsar+ssl://...");
    assert_set_refused("webServiceUrl=http://a,b/admin",
                       "--set: webServiceUrl is \"http://a,b/admin\": not a usable URL: it has a "
                       "path or query; allowed: http[s]://host[:port][,host[:port]...]");
    assert_set_refused(
        "authPlugin=org.apache.pulsar.client.impl.auth.AuthenticationSasl",
        "--set: authPlugin is \"org.apache.pulsar.client.impl.auth.AuthenticationSasl\": no "
        "authentication that is known here; allowed: nothing, none, token, basic, tls, oauth2, or "
        "Java's classes AuthenticationToken, AuthenticationBasic, AuthenticationTls and "
        "AuthenticationOAuth2");
    assert_set_refused(
        "awsCredentialPluginName=com.example.Mine",
        "--set: awsCredentialPluginName is \"com.example.Mine\": no credential plugin "
        "that is known here; allowed: nothing (keys in awsCredentialPluginParam, or "
        "the default chain), AwsDefaultProviderChainPlugin, STSAssumeRoleProviderPlugin, or the "
        "absolute path of a shared object");
}

static void tls_by_the_names_of_client_conf(void **state) {
    (void)state;
    const char *const all[] = {ARN_SET,
                               "topicName=t",
                               "serviceUrl=pulsar+ssl://a,b:7000",
                               "tlsTrustCertsFilePath=/ca.pem",
                               "tlsCertificateFilePath=/cert.pem",
                               "tlsKeyFilePath=/key.pem",
                               "tlsEnableHostnameVerification=false",
                               NULL};
    struct config *config = load_good(NULL, all, none);
    assert_string_equal(config->service_url, "pulsar+ssl://a,b:7000");
    assert_string_equal(config->tls_trust_certs_file, "/ca.pem");
    assert_string_equal(config->tls_certificate_file, "/cert.pem");
    assert_string_equal(config->tls_key_file, "/key.pem");
    assert_false(config->tls_verify_hostname);
    assert_false(config->tls_allow_insecure);
    assert_int_equal(config->note_count, 1);
    assert_true(has_note(config, "tlsEnableHostnameVerification false: others can pass for the "
                                 "Pulsar broker"));
    config_free(config);

    const char *const safe[] = {ARN_SET, "topicName=t", "serviceUrl=pulsar+ssl://a", NULL};
    config = load_good(NULL, safe, none);
    assert_true(config->tls_verify_hostname);
    assert_false(config->tls_allow_insecure);
    assert_int_equal(config->note_count, 0);
    config_free(config);

    const char *const without[] = {ARN_SET, "topicName=t", "tlsAllowInsecureConnection=true", NULL};
    config = load_good(NULL, without, none);
    assert_int_equal(config->note_count, 1);
    assert_true(has_note(config, "tlsAllowInsecureConnection is ignored: neither serviceUrl nor "
                                 "webServiceUrl is with TLS"));
    config_free(config);
    const char *const web[] = {ARN_SET, "topicName=t", "webServiceUrl=https://a",
                               "tlsTrustCertsFilePath=/ca.pem", NULL};
    config = load_good(NULL, web, none);
    assert_int_equal(config->note_count, 0);
    config_free(config);

    assert_set_refused("tlsCertificateFilePath=/cert.pem",
                       "--set: tlsCertificateFilePath is \"/cert.pem\": it needs tlsKeyFilePath");
    assert_set_refused("tlsKeyFilePath=/key.pem",
                       "--set: tlsKeyFilePath is \"/key.pem\": it needs tlsCertificateFilePath");
}

static void the_lease_table_may_be_elsewhere(void **state) {
    (void)state;
    const char *const sets[] = {ARN_SET, "topicName=t", NULL};
    struct config *config =
        load_good("awsCredentialPluginParam: '{\"accessKey\":\"A\",\"secretKey\":\"S\"}'\n"
                  "leaseTable:\n"
                  "  awsRegion: eu-west-1\n"
                  "  endpoint: http://localhost:8000\n"
                  "  awsCredentialPluginName: STSAssumeRoleProviderPlugin\n"
                  "  awsCredentialPluginParam: '{\"roleArn\":\"arn:aws:iam::1:role/r\"}'\n",
                  sets, none);
    assert_string_equal(config->access.access_key, "A");
    assert_string_equal(config->access.role_arn, "");
    assert_true(config->has_table_access);
    assert_string_equal(config->table_access.role_arn, "arn:aws:iam::1:role/r");
    assert_string_equal(config->table_access.access_key, "");
    assert_string_equal(config->table_region, "eu-west-1");
    assert_string_equal(config->streams_region, "us-west-2");
    assert_string_equal(config->dynamo_endpoint, "http://localhost:8000");
    assert_string_equal(config_shown_value(config, CONFIG_KEY_table_credential_param), "***");
    assert_int_equal(config->note_count, 0);
    config_free(config);

    const char *const environment[] = {"DDB2PULSAR_LEASE_TABLE_AWS_REGION=eu-west-2", NULL};
    config = load_good(NULL, sets, environment);
    assert_string_equal(config->table_region, "eu-west-2");
    assert_false(config->has_table_access);
    config_free(config);

    const char *const param[] = {
        "DDB2PULSAR_LEASE_TABLE_AWS_CREDENTIAL_PLUGIN_PARAM={\"accessKey\":\"s3cret\"}", NULL};
    assert_refused_in(
        NULL, sets, param,
        "environment variable DDB2PULSAR_LEASE_TABLE_AWS_CREDENTIAL_PLUGIN_PARAM: "
        "leaseTable.awsCredentialPluginParam is ***: \"accessKey\" or \"secretKey\" is "
        "missing; allowed: {\"accessKey\":\"...\",\"secretKey\":\"...\"}, optionally "
        "with \"sessionToken\"");
    assert_set_refused(
        "leaseTable.awsRegion=a b",
        "--set: leaseTable.awsRegion is \"a b\": a region has only lower-case letters, "
        "digits and '-'; allowed: e.g. us-east-1");
}

static void endpoints_by_awss_variables(void **state) {
    (void)state;
    const char *const sets[] = {ARN_SET, "topicName=t", "awsRegion=eu-west-1", NULL};
    const char *const both[] = {"AWS_ENDPOINT_URL=http://localhost:1",
                                "AWS_ENDPOINT_URL_DYNAMODB_STREAMS=http://localhost:2", NULL};
    struct config *config = load_good(NULL, sets, both);
    assert_string_equal(config->aws_endpoint, "http://localhost:2");
    assert_string_equal(config->dynamo_endpoint, "http://localhost:1");
    assert_string_equal(config->sts_endpoint, "http://localhost:1");
    assert_string_equal(config->cloudwatch_endpoint, "http://localhost:1");
    assert_true(config->publishes);
    assert_string_equal(config->streams_region, "eu-west-1"); /* as with a given one */
    assert_true(has_note(config, "awsEndpoint is http://localhost:2, by the environment variable "
                                 "AWS_ENDPOINT_URL_DYNAMODB_STREAMS"));
    config_free(config);

    const char *const ignored[] = {"AWS_ENDPOINT_URL=http://localhost:1",
                                   "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true",
                                   "AWS_USE_FIPS_ENDPOINT=true", NULL};
    config = load_good(NULL, sets, ignored);
    assert_string_equal(config->aws_endpoint, "");
    assert_string_equal(config->sts_endpoint, "");
    assert_true(config->use_fips);
    assert_false(config->use_dualstack);
    config_free(config);

    const char *const given[] = {ARN_SET, "topicName=t", "dynamoEndpoint=http://localhost:3", NULL};
    config =
        load_good(NULL, given,
                  (const char *const[]){"AWS_ENDPOINT_URL_DYNAMODB=http://x",
                                        "AWS_ENDPOINT_URL_STS=https://sts.example:8443", NULL});
    assert_string_equal(config->dynamo_endpoint, "http://localhost:3");
    assert_string_equal(config->sts_endpoint, "https://sts.example:8443");
    config_free(config);

    assert_refused_in(NULL, given, (const char *const[]){"AWS_USE_DUALSTACK_ENDPOINT=true", NULL},
                      "--set: dynamoEndpoint is \"http://localhost:3\": a contradiction to "
                      "AWS_USE_DUALSTACK_ENDPOINT, which asks for AWS's own");
    struct err err;
    assert_null(load(NULL, sets, (const char *const[]){"AWS_ENDPOINT_URL=ftp://x", NULL}, &err));
    assert_true(
        str_starts(str_of(err.text), "environment variable AWS_ENDPOINT_URL: not a usable URL, "));
}

static void what_is_published_and_where(void **state) {
    (void)state;
    static const struct {
        const char *sets[5];
        bool publishes;
        bool noted;
    } all[] = {
        {{ARN_SET, "topicName=t"}, true, false},
        {{ARN_SET, "topicName=t", "metricsLevel=none"}, false, false},
        {{ARN_SET, "topicName=t", "awsEndpoint=https://vpce-1.amazonaws.com"}, true, false},
        {{ARN_SET, "topicName=t", "awsEndpoint=http://localhost:8000"}, false, false},
        {{ARN_SET, "topicName=t", "awsEndpoint=http://localhost:8000", "metricsLevel=SUMMARY"},
         false,
         true},
        {{ARN_SET, "topicName=t", "awsEndpoint=http://localhost:8000",
          "cloudwatchEndpoint=http://localhost:1"},
         true,
         false},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct config *config = load_good(NULL, all[i].sets, none);
        assert_int_equal(config->publishes, all[i].publishes);
        assert_int_equal(has_note(config,
                                  "metricsLevel SUMMARY publishes nothing: awsEndpoint is http://, "
                                  "which is no AWS, and cloudwatchEndpoint is not set"),
                         all[i].noted);
        config_free(config);
    }
}

static void write_client_conf(const char *text) {
    FILE *stream = fopen("client.conf", "w");
    assert_non_null(stream);
    assert_true(fputs(text, stream) >= 0);
    assert_int_equal(fclose(stream), 0);
}

static void client_conf_fills_what_nothing_else_gives(void **state) {
    (void)state;
    write_client_conf("# As a service hands it out.\n"
                      "\n"
                      "webServiceUrl=https://b:443\n"
                      "brokerServiceUrl = pulsar+ssl://b:6651/\r\n"
                      "authPlugin: org.apache.pulsar.client.impl.auth.AuthenticationToken\n"
                      "  authParams token:abc=\n"
                      "! more\n"
                      "tlsTrustCertsFilePath=/conf.pem\n"
                      "tlsEnableHostnameVerification=true\n"
                      "tlsAllowInsecureConnection=true\n"
                      "tlsAllowInsecureConnection=false\n"
                      "listenerName=null\n"
                      "useKeyStoreTls=false\n"
                      "tlsTrustStoreType=JKS\n"
                      "tlsTrustStorePassword=\n"
                      "unheardOf=s3cret\n"
                      "tlsKeyFilePath=");
    const char *const sets[] = {ARN_SET, "topicName=t", "tlsTrustCertsFilePath=", NULL};
    struct config *config = load_good("clientConf: client.conf\n", sets, none);
    assert_string_equal(config->service_url, "pulsar+ssl://b:6651/");
    assert_string_equal(config->auth_params, "token:abc=");
    assert_string_equal(config->tls_trust_certs_file, "");
    assert_string_equal(config->listener_name, "");
    assert_string_equal(config->tls_key_file, "");
    assert_true(config->tls_verify_hostname);
    assert_false(config->tls_allow_insecure);
    assert_origin(config, CONFIG_KEY_service_url, "client.conf:4");
    assert_origin(config, CONFIG_KEY_auth_params, "client.conf:6");
    assert_int_equal(config->note_count, 1);
    assert_string_equal(config->web_service_url, "https://b:443");
    assert_true(has_note(config, "without meaning here and ignored: tlsTrustStoreType, unheardOf"));
    config_free(config);

    const char *const others[] = {ARN_SET, "topicName=t", "clientConf=client.conf", NULL};
    const char *const environment[] = {"DDB2PULSAR_SERVICE_URL=pulsar+ssl://e", NULL};
    config = load_good("tlsTrustCertsFilePath: /file.pem\n", others, environment);
    assert_string_equal(config->service_url, "pulsar+ssl://e");
    assert_string_equal(config->tls_trust_certs_file, "/file.pem");
    assert_string_equal(config->auth_params, "token:abc=");
    config_free(config);
}

static void client_conf_that_cannot_count_is_refused(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"useKeyStoreTls=true\n",
         "client.conf:1: useKeyStoreTls: key stores are Java's; write their content to PEM files "
         "and name those by "
         "tlsTrustCertsFilePath, tlsCertificateFilePath and tlsKeyFilePath"},
        {"\nproxyServiceUrl=pulsar+ssl://p\n", "client.conf:2: proxyServiceUrl: a proxy that goes "
                                               "by SNI is not supported; Pulsar's own proxy is a "
                                               "serviceUrl"},
        {"brokerServiceUrl=pulsar://\\\nb\n",
         "client.conf:1: a backslash or U+0000 is not understood here; give this setting in the "
         "configuration file"},
        {"brokerServiceUrl=b\n",
         "client.conf:1: serviceUrl is \"b\": not the URL of a Pulsar service; allowed: "
         "pulsar://host[:port][,host[:port]...] or pulsar+ssl://..."},
        {"authPlugin=token\nauthParams=\n",
         "client.conf:1: authPlugin is \"token\": it needs authParams; allowed there: "
         "token:<token>, file:///path, "
         "env:NAME or {\"token\":\"...\"}"},
    };
    const char *const sets[] = {ARN_SET, "topicName=t", "clientConf=client.conf", NULL};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_client_conf(bad[i][0]);
        assert_refused_in(NULL, sets, none, bad[i][1]);
    }
    const char *const absent[] = {ARN_SET, "topicName=t", "clientConf=absent.conf", NULL};
    assert_refused_in(NULL, absent, none,
                      "absent.conf: cannot be opened: No such file or directory");
}

static void secrets_go_before_configs(void **state) {
    (void)state;
    const char *const sets[] = {ARN_SET, "topicName=t", NULL};
    struct config *config =
        load_good("secrets:\n"
                  "  awsCredentialPluginParam: '{\"accessKey\":\"A\",\"secretKey\":\"S\"}'\n"
                  "  authParams: {path: p, key: k}\n"
                  "  other: s3cret\n"
                  "configs:\n"
                  "  awsCredentialPluginParam: '{\"accessKey\":\"B\",\"secretKey\":\"B\"}'\n"
                  "  messageKey: itemKey\n"
                  "  authPlugin: token\n",
                  sets, (const char *const[]){"authParams=token:abc", NULL});
    assert_string_equal(config->access.access_key, "A");
    assert_string_equal(config->auth_params, "token:abc");
    assert_origin(config, CONFIG_KEY_credential_param, "c.yaml:2:29");
    assert_true(has_note(config, "without meaning here and ignored: secrets.other"));
    config_free(config);

    const char *const variable[] = {PARAM_VARIABLE "={\"accessKey\":\"E\",\"secretKey\":\"E\"}",
                                    NULL};
    config = load_good("secrets: {awsCredentialPluginParam: '{}'}\n", sets, variable);
    assert_string_equal(config->access.access_key, "E");
    config_free(config);

    assert_refused_in("secrets: {authParams: {path: p, key: k}}\n", sets, none,
                      "c.yaml:1:23: secrets.authParams is a mapping, so its value is expected in "
                      "the environment variable authParams, which is not set");
    assert_refused_in("secrets: {authParams: [a]}\n", sets, none,
                      "c.yaml:1:23: secrets.authParams is a list: a text or a mapping is allowed");
    assert_refused_in("secrets: s3cret\n", sets, none,
                      "c.yaml:1:10: secrets: keys and values are allowed");
}

static void a_command_line_has_no_secrets(void **state) {
    (void)state;
    assert_set_refused("authParams=token:s3cret",
                       "--set: authParams is a secret, and others can read a command line; give it "
                       "in the configuration file or as environment variable " AUTH_VARIABLE);
    assert_set_refused("awsCredentialPluginParam= {\"accessKey\":\"s3cret\"}",
                       "--set: awsCredentialPluginParam is a secret, and others can read a command "
                       "line; give it in the configuration file or as environment "
                       "variable " PARAM_VARIABLE);
    const char *const where[] = {ARN_SET, "topicName=t", "authPlugin=token",
                                 "authParams=file:///run/token", NULL};
    struct config *config = load_good(NULL, where, none);
    assert_string_equal(config->auth_params, "file:///run/token");
    config_free(config);
}

static void a_role_is_assumed_as_in_java(void **state) {
    (void)state;
    const char *const role[] = {
        ARN_SET, "topicName=t",
        "awsCredentialPluginName=org.apache.pulsar.io.aws.STSAssumeRoleProviderPlugin", NULL};
    const char *const whole[] = {PARAM_VARIABLE "={\"roleArn\":\"arn:aws:iam::1:role/r\","
                                                "\"roleSessionName\":\"s\",\"externalId\":\"e\"}",
                                 NULL};
    struct config *config = load_good("sink: none\n", role, whole);
    assert_string_equal(config->access.role_arn, "arn:aws:iam::1:role/r");
    assert_string_equal(config->access.role_session, "s");
    assert_string_equal(config->access.external_id, "e");
    assert_string_equal(config->access.access_key, "");
    assert_string_equal(config->access.role_tags, "");
    config_free(config);
    const char *const tags[] = {PARAM_VARIABLE "={\"roleArn\":\"r\",\"tags\":{\"Team.A\":\"x\"},"
                                               "\"transitiveTagKeys\":[\"Team.A\"]}",
                                NULL};
    config = load_good("sink: none\n", role, tags);
    assert_string_equal(config->access.role_tags, tags[0] + sizeof PARAM_VARIABLE);
    config_free(config);
    const char *const sets[] = {ARN_SET, "topicName=t",
                                "awsCredentialPluginName=STSAssumeRoleProviderPlugin", NULL};
    const char *const keys[] = {PARAM_VARIABLE "={\"accessKey\":\"s3cret\"}", NULL};
    assert_refused_in(
        "sink: none\n", sets, keys,
        "environment variable " PARAM_VARIABLE
        ": awsCredentialPluginParam is ***: \"roleArn\" is missing; allowed: "
        "{\"roleArn\":\"...\",\"roleSessionName\":\"...\"}, optionally with \"externalId\", "
        "\"tags\":{\"KEY\":\"VALUE\"} and \"transitiveTagKeys\":[\"KEY\"]");
    const char *const bad[] = {PARAM_VARIABLE "={\"roleArn\":\"r\",\"tags\":\"s3cret\"}", NULL};
    assert_refused_in(
        "sink: none\n", sets, bad,
        "environment variable " PARAM_VARIABLE
        ": awsCredentialPluginParam is ***: \"tags\" is no object of at most 50 texts with names, "
        "all in all of at most 65536 bytes; allowed: "
        "{\"roleArn\":\"...\",\"roleSessionName\":\"...\"}, optionally with \"externalId\", "
        "\"tags\":{\"KEY\":\"VALUE\"} and \"transitiveTagKeys\":[\"KEY\"]");
}

static void contradictions(void **state) {
    (void)state;
    assert_set_refused(
        "minPollInterval=5000",
        "--set: minPollInterval is \"5000\": a contradiction to maxPollInterval 2000 "
        "(default); allowed: minPollInterval up to maxPollInterval");
    const char *const sets[] = {ARN_SET, "topicName=t", "maxPollInterval=100", NULL};
    assert_refused_in("minPollInterval: 150\n", sets, none,
                      "--set: maxPollInterval is \"100\": a contradiction to minPollInterval 150 "
                      "(c.yaml:1:18); allowed: minPollInterval up to maxPollInterval");
    assert_set_refused("authPlugin=token",
                       "--set: authPlugin is \"token\": it needs authParams; "
                       "allowed there: token:<token>, file:///path, env:NAME or "
                       "{\"token\":\"...\"}");
    const char *const plain[] = {ARN_SET, "topicName=t", NULL};
    const char *const token[] = {AUTH_VARIABLE "=token:s3cret", NULL};
    assert_refused_in(NULL, plain, token,
                      "environment variable " AUTH_VARIABLE ": authParams is ***: it needs an "
                      "authPlugin; allowed there: token, basic, tls or oauth2");
    const char *const certificate[] = {ARN_SET, "topicName=t", "authPlugin=tls", NULL};
    const char *const files[] = {AUTH_VARIABLE "=tlsCertFile:/c,tlsKeyFile:/k", NULL};
    assert_refused_in("sink: pulsar\n", certificate, files,
                      "--set: authPlugin is \"tls\": it needs a serviceUrl with pulsar+ssl://");
    const char *const oauth2[] = {ARN_SET, "topicName=t", "authPlugin=oauth2", NULL};
    const char *const issuer[] = {
        AUTH_VARIABLE "={\"issuerUrl\":\"https://i\",\"audiance\":\"s3cret\"}", NULL};
    assert_refused_in("sink: pulsar\n", oauth2, issuer,
                      "environment variable " AUTH_VARIABLE
                      ": authParams is ***: \"audiance\" is not known here; known are "
                      "issuerUrl, privateKey, audience, scope, trustCertsFilePath and type");
}

/* No message about a secret has any of it. */
static void secrets_stay_out_of_messages(void **state) {
    (void)state;
    static const char allowed[] =
        "allowed: {\"accessKey\":\"...\",\"secretKey\":\"...\"}, optionally with \"sessionToken\"";
    static const char *const bad[][2] = {
        {"s3cret", "not a JSON object"},
        {"{\"s3cret\"", "not a JSON object"},
        {"{\"s3cret\": 1, \"s3cret\": 1}", "not a JSON object"},
        {"{}", "\"accessKey\" or \"secretKey\" is missing"},
        {"{\"accessKey\":\"s3cret\"}", "\"accessKey\" or \"secretKey\" is missing"},
        {"{\"accessKey\":\"s3cret\",\"secretKey\":\" \"}",
         "\"accessKey\" or \"secretKey\" is missing"},
        {"{\"accessKey\":\"s3cret\",\"secretKey\":[1]}",
         "\"accessKey\" or \"secretKey\" is missing"},
        {"{\"roleArn\":\"s3cret\",\"roleSessionName\":\"x\"}",
         "\"roleArn\" needs awsCredentialPluginName STSAssumeRoleProviderPlugin"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char variable[256];
        char expected[512];
        (void)snprintf(variable, sizeof variable, PARAM_VARIABLE "=%s", bad[i][0]);
        (void)snprintf(expected, sizeof expected,
                       "environment variable " PARAM_VARIABLE
                       ": awsCredentialPluginParam is ***: %s; %s",
                       bad[i][1], allowed);
        const char *const sets[] = {ARN_SET, "topicName=t", NULL};
        const char *const environment[] = {variable, NULL};
        assert_refused_in(NULL, sets, environment, expected);
    }
    assert_refused_in("awsCredentialPluginParm: s3cret\n", none, none,
                      "c.yaml:1:1: there is no property \"awsCredentialPluginParm\"; did you mean "
                      "awsCredentialPluginParam?");
    assert_refused_in("awsCredentialPluginParam: {accessKey: s3cret}\n", none, none,
                      "c.yaml:1:27: awsCredentialPluginParam is a mapping: a single value is "
                      "allowed");
}

static void missing_file(void **state) {
    (void)state;
    const struct config_input input = {.file = "absent.yaml"};
    struct err err = ERR_NONE;
    assert_null(config_load(&input, &err));
    assert_string_equal(err.text, "absent.yaml: cannot be opened: No such file or directory");
    assert_int_equal(err.code, ERR_CONFIG);
}

/* ---- The table itself. */

static void every_row_is_sound(void **state) {
    (void)state;
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        const struct property *row = property_of((enum config_key)i);
        enum config_key key;
        char variable[PROPERTY_ENV_MAX];
        assert_true(property_find(str_of(row->name), &key));
        assert_int_equal(key, i); /* no name twice */
        property_env_name(key, variable);
        assert_true(property_find_env(str_of(variable), &key));
        assert_int_equal(key, i);
        assert_true(row->min <= row->max);
        if (row->kind == PROPERTY_COUNT || row->kind == PROPERTY_MS) {
            assert_true(row->max <= UINT32_MAX);
        }
        size_t len = strlen(row->text);
        assert_true(len > 0 && row->text[len - 1] == '.');
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(examples_of_pulsars_documentation),
        cmocka_unit_test(region_beside_the_arns_serves_the_lease_table),
        cmocka_unit_test(blank_is_absent),
        cmocka_unit_test(precedence),
        cmocka_unit_test(a_command_decides_above_all),
        cmocka_unit_test(a_text_stands_for_a_file),
        cmocka_unit_test(environment_names_with_and_without_underscores),
        cmocka_unit_test(foreign_variables_are_noted),
        cmocka_unit_test(tls_by_the_names_of_client_conf),
        cmocka_unit_test(source_config_of_pulsar_admin),
        cmocka_unit_test(names_of_choices_and_units),
        cmocka_unit_test(state_directory_follows_the_environment),
        cmocka_unit_test(credentials),
        cmocka_unit_test(a_plugin_of_ones_own),
        cmocka_unit_test(secrets_are_masked),
        cmocka_unit_test(table_names_have_one_dash_for_a_character),
        cmocka_unit_test(what_is_missing),
        cmocka_unit_test(unknown_keys),
        cmocka_unit_test(bad_values),
        cmocka_unit_test(wrong_shapes),
        cmocka_unit_test(a_start_by_time),
        cmocka_unit_test(a_start_by_time_needs_one),
        cmocka_unit_test(effectively_once),
        cmocka_unit_test(what_this_version_does_not_do),
        cmocka_unit_test(endpoints_by_awss_variables),
        cmocka_unit_test(what_is_published_and_where),
        cmocka_unit_test(the_lease_table_may_be_elsewhere),
        cmocka_unit_test(client_conf_fills_what_nothing_else_gives),
        cmocka_unit_test(client_conf_that_cannot_count_is_refused),
        cmocka_unit_test(secrets_go_before_configs),
        cmocka_unit_test(a_command_line_has_no_secrets),
        cmocka_unit_test(a_role_is_assumed_as_in_java),
        cmocka_unit_test(contradictions),
        cmocka_unit_test(secrets_stay_out_of_messages),
        cmocka_unit_test(missing_file),
        cmocka_unit_test(every_row_is_sound),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
