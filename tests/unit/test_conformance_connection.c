/* What a client of Pulsar has to bear and to do on its connections. */
#include "unit/certificates.h"
#include "unit/sender.h"

#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- frames ---- */

/* "unknown command ignored" */
static void unknown_command_is_ignored(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender_open_ready(sender);
    sender_send(sender, 100);
    stage_script(stage, "unknown-command");
    sender_send(sender, 100);
    stage_script(stage, "unknown-command");
    sender_finish(sender);
    assert_int_equal(stage_counts(stage).connects, 1);
    assert_int_equal(sender->lost_count, 0);
    stage_free(stage);
}

/* "split/coalesced reads, 1-byte reads" */
static void reads_of_one_byte(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->options.batching = PULSAR_BATCHING_NONE;
    stage_script(stage, "drip 1");
    sender_open_ready(sender);
    sender_send(sender, 3);
    sender_drain(sender);
    stage_script(stage, "drip 0");
    sender_finish(sender);
    assert_int_equal(stage_counts(stage).connects, 1);
    stage_free(stage);
}

static void reads_that_end_anywhere(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->options.batching = PULSAR_BATCHING_NONE;
    sender_open_ready(sender);
    for (size_t bytes = 13; bytes < 100; bytes += 17) { /* against frames of 30 or so */
        stage_script(stage, "drip %zu", bytes);
        sender_send(sender, 20);
        sender_drain(sender);
    }
    stage_script(stage, "drip 0");
    sender_finish(sender);
    assert_int_equal(stage_counts(stage).connects, 1);
    stage_free(stage);
}

static void many_frames_in_a_read(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->options.batching = PULSAR_BATCHING_NONE;
    sender_open_ready(sender);
    stage_script(stage, "receipt-delay 50");
    sender_send(sender, 3000);
    STAGE_WAIT_COUNT(stage, messages, 3000);
    stage_script(stage, "receipt-delay 0");
    sender_finish(sender);
    assert_int_equal(stage_counts(stage).sends, 3000);
    stage_free(stage);
}

/* "frame > limit rejected" */
static void frames_over_the_limit_end_the_connection(void **state) {
    (void)state;
    static const char *const frames[] = {
        "064000000000000508139a0100", /* 100 MB */
        "00000009000000060812920100", /* a command longer than its frame */
        "0000000300000000",           /* not even room for the command's size */
    };
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        struct stage *stage = stage_new();
        struct sender *sender = sender_new(stage);
        sender->double_is_fine = true;
        sender_open_ready(sender);
        sender_send(sender, 100);
        stage_script(stage, "raw %s", frames[i]);
        STAGE_WAIT(stage, sender->again_count > 0);
        sender_send(sender, 100);
        sender_finish(sender);
        assert_int_equal(stage_counts(stage).connects, 2);
        stage_free(stage);
    }
}

/* ---- keep-alive ---- */

/* "PING during blocked write" */
static void ping_while_the_write_side_is_blocked(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->options.batching = PULSAR_BATCHING_NONE;
    sender->value_len = 1000000;
    sender_open_ready(sender);
    stage_script(stage, "pause 300");
    sender_send(sender, 50); /* more than the sockets hold */
    stage_script(stage, "ping\nping");
    STAGE_WAIT_COUNT(stage, pongs, 1);
    sender_finish(sender);
    assert_int_equal(stage_counts(stage).connects, 1);
    stage_free(stage);
}

/* It asks without end and reads none of the answers: they must not pile up here. */
static void asked_without_end_by_a_broker_that_does_not_read(void **state) {
    (void)state;
    enum { ROUNDS = 200, EACH = 50 };
    char questions[EACH * sizeof "ping\nauth-challenge\n"] = "";
    for (size_t i = 0; i < EACH; i++) {
        strcat(questions, "ping\nauth-challenge\n");
    }
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    struct sender *other = sender_new(stage);
    sender->options.batching = PULSAR_BATCHING_NONE;
    sender->value_len = 1000000;
    other->options.topic = STR("persistent://public/default/other");
    sender_open_ready(sender);
    sender_open_ready(other);
    stage_script(stage, "pause 3600000");
    sender_send(sender, 30); /* more than the sockets hold */
    for (size_t i = 0; i < ROUNDS; i++) {
        stage_script(stage, "%s", questions);
    }
    /* The client has read all of it when it knows what came behind it. */
    stage_script(stage, "unload persistent://public/default/other");
    STAGE_WAIT(stage, other->lost_count > 0);
    stage_script(stage, "pause 0");
    sender_finish(sender);
    sender_finish(other);
    struct fake_broker_counts counts = stage_counts(stage);
    assert_int_equal(counts.connects, 1);
    assert_in_range(counts.pongs, 1, ROUNDS * EACH / 10);
    assert_in_range(counts.auth_responses, 1, ROUNDS * EACH / 10);
    stage_free(stage);
}

static void silence_ends_the_connection(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->double_is_fine = true;
    stage->client_options.keep_alive_ms = 300;
    stage_script(stage, "silent SEND always");
    sender_open_ready(sender);
    sender_send(sender, 10);
    STAGE_WAIT_COUNT(stage, pings, 3); /* answered, so all is well */
    assert_int_equal(stage_counts(stage).connects, 1);
    stage_script(stage, "clear\nsilent PING 1");
    STAGE_WAIT(stage, sender->lost_count > 0);
    assert_int_equal(sender->last_lost.class, ERR_CLASS_RETRY);
    sender_finish(sender);
    assert_int_equal(stage_counts(stage).connects, 2);
    stage_free(stage);
}

/* ---- credentials ---- */

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* "AUTH_CHALLENGE mid-stream" and "token file with newline; token rotation" */
static void challenged_in_the_middle(void **state) {
    (void)state;
    char folder[] = "/tmp/conformance-XXXXXX";
    char path[64];
    char params[80];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/token", folder);
    (void)snprintf(params, sizeof params, "file://%s", path);
    write_file(path, "first\r\n");

    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->double_is_fine = true;
    stage->client_options.auth_plugin = STR("token");
    stage->client_options.auth_params = str_of(params);
    stage_script(stage, "token first");
    sender_open_ready(sender);
    sender_send(sender, 500);
    write_file(path, "second\n");
    stage_script(stage, "token second\nauth-challenge");
    sender_send(sender, 500);
    STAGE_WAIT_COUNT(stage, auth_responses, 1);
    sender_drain(sender);
    assert_int_equal(stage_counts(stage).connects, 1);
    stage_script(stage, "disconnect");
    sender_send(sender, 100);
    sender_finish(sender);
    struct fake_broker_connect last;
    fake_broker_last_connect(stage->broker, &last);
    assert_string_equal(last.method, "token");
    assert_string_equal(last.data, "second");
    assert_string_equal(last.client_version, "stage");
    stage_free(stage);
    (void)unlink(path);
    (void)rmdir(folder);
}

static void a_wrong_token_ends_it(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    stage->client_options.auth_plugin = STR("token");
    stage->client_options.auth_params = STR("token:wrong");
    stage_script(stage, "token right");
    sender_open(sender);
    STAGE_WAIT(stage, sender->failed_count > 0);
    assert_int_equal(sender->failure.code, ERR_PULSAR_AUTH);
    assert_null(strstr(sender->failure.text, "token:wrong"));
    stage_free(stage);
}

static void a_name_and_a_password(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    stage->client_options.auth_plugin = STR("basic");
    stage->client_options.auth_params = STR("{\"userId\":\"me\",\"password\":\"p:w\"}");
    stage_script(stage, "basic me:p:w");
    sender_open_ready(sender);
    sender_send(sender, 100);
    stage_script(stage, "auth-challenge");
    STAGE_WAIT_COUNT(stage, auth_responses, 1);
    sender_send(sender, 100);
    sender_finish(sender);
    assert_int_equal(stage_counts(stage).connects, 1);
    stage_free(stage);
}

/* ---- who has the topic ---- */

/* "lookup redirect x2" */
static void redirected_twice(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    stage_script(stage,
                 "brokers 3\nowner " STAGE_TOPIC " 2\nredirect LOOKUP 1 1\nredirect LOOKUP 1 2");
    sender_open_ready(sender);
    sender_send(sender, 100);
    sender_finish(sender);
    struct fake_broker_counts counts = stage_counts(stage);
    assert_int_equal(counts.lookups, 3);
    assert_int_equal(counts.authoritative_lookups, 2);
    assert_int_equal(counts.connects, 3);
    stage_free(stage);
}

/* "redirect loop cap" */
static void redirected_in_a_circle(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    stage_script(stage, "brokers 2\nredirect LOOKUP 30 1");
    sender_open_ready(sender); /* when the circle is broken: it tried again */
    STAGE_WAIT(stage, sender->lost_count > 0);
    assert_int_equal(sender->last_lost.class, ERR_CLASS_RETRY);
    assert_non_null(strstr(sender->last_lost.text, "redirected"));
    sender_send(sender, 10);
    sender_finish(sender);
    stage_free(stage);
}

/* "proxy_through_service_url" */
static void brokers_behind_a_proxy(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->double_is_fine = true;
    stage_script(stage, "brokers 2\nproxy on\npartitions * 2\nowner " STAGE_TOPIC "-partition-1 1");
    sender_open_ready(sender);
    sender_send(sender, 500);
    sender_drain(sender);
    struct fake_broker_connect last;
    fake_broker_last_connect(stage->broker, &last);
    assert_non_null(strstr(last.proxy_to, ".invalid:6650"));
    assert_int_equal(stage_counts(stage).connects, 3);
    /* The new broker, too, is behind it. */
    stage_script(stage, "unload " STAGE_TOPIC "-partition-1 0 assigned");
    sender_send(sender, 500);
    STAGE_WAIT(stage, sender->again_count > 0);
    stage_script(stage, "unload " STAGE_TOPIC "-partition-0 1 assigned");
    STAGE_WAIT(stage, sender->again_count > 1);
    stage_script(stage, "disconnect");
    sender_send(sender, 500);
    sender_finish(sender);
    stage_free(stage);
}

/* "CLOSE_PRODUCER with and without assigned url while 500 ops pending -> same bytes resent, in
 * order". The double is strict about bytes and order. */
static void unload_with_500_pending(const char *how, uint64_t lookups) {
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->options.batching = PULSAR_BATCHING_NONE;
    stage_script(stage, "brokers 2\ndedup on\nsilent SEND 500");
    sender_open_ready(sender);
    sender_send(sender, 500);
    STAGE_WAIT_COUNT(stage, messages, 500);
    stage_script(stage, "unload " STAGE_TOPIC " %s", how);
    STAGE_WAIT(stage, sender->again_count > 0); /* a SEND on its way now would end the connection */
    sender_send(sender, 100);
    sender_finish(sender);
    struct fake_broker_counts counts = stage_counts(stage);
    assert_int_equal(counts.duplicates, 500);
    assert_int_equal(counts.sends, 1100);
    assert_int_equal(counts.lookups, lookups);
    assert_int_equal(sender->fates[FATE_DUPLICATE], 500);
    assert_int_equal(sender->stats.resent_frames, 500);
    assert_int_equal(sender->lost_count, 1);
    assert_int_equal(sender->again_count, 1);
    stage_free(stage);
}

static void unloaded(void **state) {
    (void)state;
    unload_with_500_pending("", 2);
}

static void unloaded_to_another_broker(void **state) {
    (void)state;
    unload_with_500_pending("1", 2);
}

static void unloaded_and_told_where_to(void **state) {
    (void)state;
    unload_with_500_pending("1 assigned", 1);
}

static void migrated_to_another_cluster(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    stage_script(stage, "brokers 2\ndedup on");
    sender_open_ready(sender);
    sender_send(sender, 500);
    stage_script(stage, "migrate " STAGE_TOPIC " 1");
    STAGE_WAIT(stage, sender->again_count > 0);
    sender_send(sender, 500);
    sender_finish(sender);
    stage_free(stage);
}

/* ---- TLS ---- */

static struct certificates files;

/* The double shows this certificate; the producer trusts the authority. */
static struct sender *with_tls(struct stage *stage, const char *certificate, const char *key,
                               const char *more) {
    struct sender *sender = sender_new(stage);
    stage_script(stage, "tls %s %s %s", certificate, key, more);
    (void)snprintf(stage->url, sizeof stage->url, "pulsar+ssl://localhost:%u",
                   fake_broker_tls_port(stage->broker, 0));
    stage->client_options.service_url = str_of(stage->url);
    stage->client_options.tls_trust_certs_file = str_of(files.ca);
    return sender;
}

static void everything_goes_by_tls(void **state) {
    (void)state;
    certificates_make(&files);
    for (int proxy = 0; proxy < 2; proxy++) {
        struct stage *stage = stage_new();
        struct sender *sender = with_tls(stage, files.server, files.server_key, "host localhost");
        sender->options.name = STR("p");
        sender->value_len = 2000;
        stage_script(stage,
                     "brokers 2\npartitions * 2\ndedup on\nowner " STAGE_TOPIC
                     "-partition-1 1\nproxy %s",
                     proxy ? "on" : "off");
        sender_open_ready(sender);
        sender_send(sender, 1000);
        stage_script(stage, "unload " STAGE_TOPIC "-partition-0 1 assigned");
        STAGE_WAIT(stage, sender->again_count > 0);
        sender_send(sender, 1000);
        stage_script(stage, "disconnect\ndrip 17");
        sender_send(sender, 100);
        STAGE_WAIT(stage, sender->again_count > 2);
        stage_script(stage, "drip 0\nmigrate " STAGE_TOPIC " 1");
        sender_send(sender, 1000);
        sender_finish(sender);
        assert_int_equal(stage_counts(stage).messages, 3100);
        struct fake_broker_connect last;
        fake_broker_last_connect(stage->broker, &last);
        assert_true(last.tls);
        stage_free(stage);
    }
    certificates_remove(&files);
}

static void our_certificate_is_shown(void **state) {
    (void)state;
    certificates_make(&files);
    for (int plugin = 0; plugin < 2; plugin++) {
        struct stage *stage = stage_new();
        char more[160];
        char params[320];
        (void)snprintf(more, sizeof more, "ca %s host localhost", files.ca);
        (void)snprintf(params, sizeof params, "tlsCertFile:%s,tlsKeyFile:%s", files.client,
                       files.client_key);
        struct sender *sender = with_tls(stage, files.server, files.server_key, more);
        if (plugin) {
            stage->client_options.auth_plugin = STR("tls");
            stage->client_options.auth_params = str_of(params);
        } else {
            stage->client_options.tls_certificate_file = str_of(files.client);
            stage->client_options.tls_key_file = str_of(files.client_key);
        }
        sender_open_ready(sender);
        sender_send(sender, 100);
        sender_finish(sender);
        struct fake_broker_connect last;
        fake_broker_last_connect(stage->broker, &last);
        assert_string_equal(last.certificate, "client");
        assert_string_equal(last.method, plugin ? "tls" : "none");
        assert_string_equal(last.data, "");
        stage_free(stage);
    }
    certificates_remove(&files);
}

/* "TLS bad hostname refused", and whoever is not trusted */
static void wrong_servers_are_refused(void **state) {
    (void)state;
    certificates_make(&files);
    for (int i = 0; i < 4; i++) {
        struct stage *stage = stage_new();
        bool elsewhere = i < 2;
        struct sender *sender =
            with_tls(stage, elsewhere ? files.elsewhere : files.server,
                     elsewhere ? files.elsewhere_key : files.server_key, "host localhost");
        if (!elsewhere) {
            stage->client_options.tls_trust_certs_file = str_of(files.stranger);
        }
        stage->client_options.tls_skip_hostname_verification = i == 1;
        stage->client_options.tls_allow_insecure = i == 3;
        sender->options.create_timeout_ms = 500;
        sender_open(sender);
        STAGE_WAIT(stage, sender->failed_count + sender->ready_count > 0);
        assert_int_equal(sender->ready_count, i % 2); /* unless it was said that it may be */
        if (i % 2 == 0) {
            assert_int_equal(stage_counts(stage).connects, 0); /* nothing was said to it */
        }
        stage_free(stage);
    }
    certificates_remove(&files);
}

/* ---- ends ---- */

/* Every point at which a connection can end, over and over. */
static void connections_end_at_any_moment(void **state) {
    (void)state;
    static const char *const faults[] = {
        "drop-before CONNECT 1", "drop-after CONNECT 1",      "cut CONNECT 1 9",
        "drop-before LOOKUP 1",  "drop-after LOOKUP 1",       "cut LOOKUP 1 20",
        "drop-after PRODUCER 1", "cut PRODUCER 1 20",         "drop-before SEND 1 after 3",
        "drop-after SEND 1",     "drop-after SEND 1 after 7", "cut SEND 1 11 after 2",
        "cut SEND 1 30 after 1", "drop-before PRODUCER 1",    "delay SEND 3 20",
    };
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->options.batch_max_messages = 10;
    sender->options.name = STR("p");
    stage_script(stage, "dedup on\npartitions * 3");
    sender_open_ready(sender);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        stage_script(stage, "%s", faults[i]);
        sender_send(sender, 300);
        stage_script(stage, "disconnect");
        sender_send(sender, 300);
    }
    sender_finish(sender);
    assert_int_equal(stage_counts(stage).messages, sender->taken);
    stage_free(stage);
}

int main(int argc, char **argv) {
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    const struct CMUnitTest tests[] = {
        STAGE_TEST(unknown_command_is_ignored),
        STAGE_TEST(reads_of_one_byte),
        STAGE_TEST(reads_that_end_anywhere),
        STAGE_TEST(many_frames_in_a_read),
        STAGE_TEST(frames_over_the_limit_end_the_connection),
        STAGE_TEST(ping_while_the_write_side_is_blocked),
        STAGE_TEST(asked_without_end_by_a_broker_that_does_not_read),
        STAGE_TEST(silence_ends_the_connection),
        STAGE_TEST(challenged_in_the_middle),
        STAGE_TEST(a_wrong_token_ends_it),
        STAGE_TEST(a_name_and_a_password),
        STAGE_TEST(redirected_twice),
        STAGE_TEST(redirected_in_a_circle),
        STAGE_TEST(brokers_behind_a_proxy),
        STAGE_TEST(unloaded),
        STAGE_TEST(unloaded_to_another_broker),
        STAGE_TEST(unloaded_and_told_where_to),
        STAGE_TEST(migrated_to_another_cluster),
        STAGE_TEST(everything_goes_by_tls),
        STAGE_TEST(our_certificate_is_shown),
        STAGE_TEST(wrong_servers_are_refused),
        STAGE_TEST(connections_end_at_any_moment),
    };
    return cmocka_run_group_tests(tests, stage_setup, stage_teardown);
}
