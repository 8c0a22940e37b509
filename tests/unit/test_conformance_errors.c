/* Every error that a broker can answer with, at every command, and what a producer makes of it:
 * tries again, gives one message up, or ends. */
#include "unit/sender.h"

#include "cmocka_all.h"

#include <stdio.h>

enum outcome {
    GOES_ON,  /* it passes */
    GIVES_UP, /* what waits is undelivered; then it goes on */
    ONE,      /* only that entry is undelivered */
    ENDS,
};

/* From the brokers' table of errors; those that no producer should get are a broken protocol, which
 * passes. */
static const struct {
    const char *name;
    enum outcome first; /* to PRODUCER, LOOKUP, PARTITIONED_METADATA, before `ready` */
    enum outcome again; /* to PRODUCER and LOOKUP after it */
    enum outcome send;  /* to SEND */
    enum err_code code; /* of what ends, or is undelivered */
} errors[] = {
    {"UnknownError", GOES_ON, GOES_ON, GOES_ON, ERR_OK},
    {"MetadataError", GOES_ON, GOES_ON, GOES_ON, ERR_OK},
    {"PersistenceError", GOES_ON, GOES_ON, GOES_ON, ERR_OK},
    {"AuthenticationError", ENDS, GOES_ON, GOES_ON, ERR_PULSAR_AUTH},
    {"AuthorizationError", ENDS, GOES_ON, GOES_ON, ERR_PULSAR_DENIED},
    {"ConsumerBusy", GOES_ON, GOES_ON, GOES_ON, ERR_OK},
    {"ServiceNotReady", GOES_ON, GOES_ON, GOES_ON, ERR_OK},
    {"ProducerBlockedQuotaExceededError", GOES_ON, GOES_ON, GOES_ON, ERR_OK},
    {"ProducerBlockedQuotaExceededException", GOES_ON, GIVES_UP, GOES_ON, ERR_PULSAR_QUOTA_REFUSED},
    {"ChecksumError", GOES_ON, GOES_ON, GOES_ON, ERR_OK},
    {"UnsupportedVersionError", ENDS, GOES_ON, GOES_ON, ERR_PULSAR_REFUSED},
    {"TopicNotFound", ENDS, ENDS, ENDS, ERR_PULSAR_NO_TOPIC},
    {"SubscriptionNotFound", GOES_ON, GOES_ON, GOES_ON, ERR_OK},
    {"ConsumerNotFound", GOES_ON, GOES_ON, GOES_ON, ERR_OK},
    {"TooManyRequests", GOES_ON, GOES_ON, GOES_ON, ERR_OK},
    {"TopicTerminatedError", ENDS, ENDS, ENDS, ERR_PULSAR_TERMINATED},
    {"ProducerBusy", ENDS, GOES_ON, GOES_ON, ERR_PULSAR_BUSY},
    {"InvalidTopicName", ENDS, GOES_ON, GOES_ON, ERR_PULSAR_REFUSED},
    {"IncompatibleSchema", ENDS, GOES_ON, GOES_ON, ERR_PULSAR_REFUSED},
    {"ConsumerAssignError", GOES_ON, GOES_ON, GOES_ON, ERR_OK},
    {"TransactionCoordinatorNotFound", GOES_ON, GOES_ON, GOES_ON, ERR_OK},
    {"InvalidTxnStatus", GOES_ON, GOES_ON, GOES_ON, ERR_OK},
    {"NotAllowedError", ENDS, GOES_ON, ONE, ERR_PULSAR_REFUSED},
    {"TransactionConflict", GOES_ON, GOES_ON, GOES_ON, ERR_OK},
    {"TransactionNotFound", GOES_ON, GOES_ON, GOES_ON, ERR_OK},
    {"ProducerFenced", ENDS, ENDS, ENDS, ERR_PULSAR_FENCED},
};
enum { ERRORS = sizeof errors / sizeof errors[0] };

static void every_error_is_in_the_table(void **state) {
    (void)state;
    const ProtobufCEnumDescriptor *all = &pulsar__server_error__descriptor;
    assert_int_equal(all->n_values, ERRORS);
    for (unsigned i = 0; i < ERRORS; i++) {
        assert_string_equal(all->values[i].name, errors[i].name);
    }
}

static void first_time(const char *op, size_t i) {
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    bool ends = errors[i].first == ENDS;
    print_message("%s %s\n", op, errors[i].name);
    stage_script(stage, "fail %s %s %s 'the broker says no'", op, ends ? "always" : "2",
                 errors[i].name);
    sender_open(sender);
    if (ends) {
        STAGE_WAIT(stage, sender->failed_count > 0);
        assert_int_equal(sender->failure.code, errors[i].code);
        assert_non_null(strstr(sender->failure.text, "the broker says no"));
        assert_non_null(strstr(sender->failure.text, errors[i].name));
        assert_int_equal(sender->ready_count, 0);
    } else {
        STAGE_WAIT(stage, sender->ready_count > 0 || sender->failed_count > 0);
        assert_int_equal(sender->failed_count, 0);
        assert_true(sender->lost_count > 0);
        sender_send(sender, 10);
        sender_finish(sender);
    }
    stage_free(stage);
}

static void partitioned_metadata(void **state) {
    (void)state;
    for (size_t i = 0; i < ERRORS; i++) {
        if (strcmp(errors[i].name, "ProducerBusy") != 0) { /* nothing is held there */
            first_time("PARTITIONED_METADATA", i);
        }
    }
}

static void lookup(void **state) {
    (void)state;
    for (size_t i = 0; i < ERRORS; i++) {
        first_time("LOOKUP", i);
    }
}

static void producer(void **state) {
    (void)state;
    for (size_t i = 0; i < ERRORS; i++) {
        first_time("PRODUCER", i);
    }
}

/* CONNECT is refused by who we are; anything else is a broker in trouble. */
static void connect_(void **state) {
    (void)state;
    for (size_t i = 0; i < ERRORS; i++) {
        if (strcmp(errors[i].name, "ProducerBusy") != 0) {
            first_time("CONNECT", i);
        }
    }
}

/* After `ready`, with messages waiting. */
static void second_time(const char *op, size_t i) {
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->options.name = STR("p"); /* without receipts, these are stored */
    print_message("%s %s\n", op, errors[i].name);
    enum outcome outcome = errors[i].again;
    stage_script(stage, "silent SEND always\ndedup on");
    sender_open_ready(sender);
    sender_send(sender, 100);
    STAGE_WAIT_COUNT(stage, messages, 1);
    stage_script(stage, "clear\nfail %s %s %s\ndisconnect", op, outcome == ENDS ? "always" : "2",
                 errors[i].name);
    if (outcome == ENDS) {
        STAGE_WAIT(stage, sender->failed_count > 0);
        assert_int_equal(sender->failure.code, errors[i].code);
        assert_int_equal(sender->reported, 100);
        assert_int_equal(sender->fates[FATE_STORED] + sender->fates[FATE_DUPLICATE], 0);
        assert_int_equal(sender->last_undelivered.code, errors[i].code);
        sender_close(sender, 1000);
        sender_check(sender);
    } else {
        STAGE_WAIT(stage, sender->again_count > 0 || sender->failed_count > 0);
        assert_int_equal(sender->failed_count, 0);
        sender_send(sender, 100);
        sender_finish(sender);
        size_t given_up = sender->fates[FATE_MAYBE] + sender->fates[FATE_LOST];
        assert_int_equal(given_up, outcome == GIVES_UP ? 100 : 0);
        if (outcome == GIVES_UP) {
            assert_int_equal(sender->last_undelivered.code, errors[i].code);
        }
    }
    stage_free(stage);
}

static void producer_again(void **state) {
    (void)state;
    for (size_t i = 0; i < ERRORS; i++) {
        second_time("PRODUCER", i);
    }
}

static void lookup_again(void **state) {
    (void)state;
    for (size_t i = 0; i < ERRORS; i++) {
        second_time("LOOKUP", i);
    }
}

static void connect_again(void **state) {
    (void)state;
    for (size_t i = 0; i < ERRORS; i++) {
        if (errors[i].again != ENDS) { /* these are about topics */
            second_time("CONNECT", i);
        }
    }
}

/* "SEND_ERROR for each code, sequence = highest id": the double names the last id of the batch. One
 * entry is on its way at a time; what becomes of those behind it is the next test's. */
static void send_(void **state) {
    (void)state;
    for (size_t i = 0; i < ERRORS; i++) {
        struct stage *stage = stage_new();
        struct sender *sender = sender_new(stage);
        print_message("SEND %s\n", errors[i].name);
        stage_script(stage, "fail SEND %s %s", errors[i].send == ENDS ? "always" : "1",
                     errors[i].name);
        sender_open_ready(sender);
        sender_send(sender, 10);
        STAGE_WAIT(stage, sender->reported == 10);
        STAGE_WAIT_COUNT(stage, send_errors, 1);
        switch (errors[i].send) {
        case GOES_ON:
            assert_int_equal(sender->fates[FATE_STORED], 10);
            break;
        case ONE:
            assert_int_equal(sender->fates[FATE_REFUSED], 10);
            break;
        case GIVES_UP:
        case ENDS:
            STAGE_WAIT(stage, sender->failed_count > 0);
            assert_int_equal(sender->fates[FATE_STORED], 0);
            break;
        }
        if (errors[i].send != GOES_ON) {
            assert_int_equal(sender->last_undelivered.code, errors[i].code);
        }
        if (errors[i].send != ENDS) {
            sender_send(sender, 10);
            sender_finish(sender);
        }
        stage_free(stage);
    }
}

/* "NotAllowed": that one message fails, in its turn; those around it do not. */
static void not_allowed_among_others(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->options.batching = PULSAR_BATCHING_NONE;
    stage_script(stage, "receipt-delay 20\nfail SEND 1 NotAllowedError 'too large here' after 3\n"
                        "fail SEND 1 NotAllowedError 'too large here' after 20");
    sender_open_ready(sender);
    sender_send(sender, 100);
    sender_finish(sender);
    assert_int_equal(sender->fates[FATE_STORED], 98);
    assert_int_equal(sender->fates[FATE_REFUSED], 2);
    assert_int_equal(sender->reports[3].fate, FATE_REFUSED);
    assert_non_null(strstr(sender->last_undelivered.text, "too large here"));
    assert_int_equal(stage_counts(stage).connects, 1);
    assert_int_equal(sender->failed_count, 0);
    stage_free(stage);
}

/* A failed write, with others behind it: all come again, in order. */
static void failed_write_among_others(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->options.batching = PULSAR_BATCHING_NONE;
    sender_open_ready(sender);
    for (size_t i = 0; i < 10; i++) {
        stage_script(stage, "fail SEND 1 PersistenceError 'no bookies' after %zu", i * 7);
        sender_send(sender, 200);
        sender_drain(sender);
    }
    sender_finish(sender);
    assert_int_equal(sender->fates[FATE_STORED], 2000);
    assert_int_equal(stage_counts(stage).messages, 2000);
    assert_int_equal(stage_counts(stage).connects, 1);
    stage_free(stage);
}

/* The one kind of MetadataError that does not pass. */
static void encryption_required(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    stage_script(stage, "fail PRODUCER always MetadataError 'Encryption is required in topic'");
    sender_open(sender);
    STAGE_WAIT(stage, sender->failed_count > 0);
    assert_int_equal(sender->failure.class, ERR_CLASS_FATAL);
    stage_free(stage);
}

/* Silence is an error too. */
static void no_answer(void **state) {
    (void)state;
    static const char *const ops[] = {"CONNECT", "PARTITIONED_METADATA", "LOOKUP", "PRODUCER"};
    for (size_t i = 0; i < 4; i++) {
        struct stage *stage = stage_new();
        struct sender *sender = sender_new(stage);
        stage->client_options.operation_timeout_ms = 100;
        stage->client_options.connect_timeout_ms = 100;
        stage_script(stage, "silent %s 2", ops[i]);
        sender_open_ready(sender);
        assert_true(sender->lost_count > 0);
        sender_send(sender, 10);
        sender_finish(sender);
        stage_free(stage);
    }
}

/* create_timeout_ms ends what would go on. */
static void not_ready_in_time(void **state) {
    (void)state;
    static const char *const ops[] = {"CONNECT", "PARTITIONED_METADATA", "LOOKUP", "PRODUCER"};
    for (size_t i = 0; i < 4; i++) {
        struct stage *stage = stage_new();
        struct sender *sender = sender_new(stage);
        sender->options.create_timeout_ms = 200;
        stage_script(stage, "fail %s always ServiceNotReady 'starting up'", ops[i]);
        sender_open(sender);
        STAGE_WAIT(stage, sender->failed_count > 0);
        assert_non_null(strstr(sender->failure.text, "starting up"));
        assert_int_equal(sender->failure.class, ERR_CLASS_RETRY);
        stage_free(stage);
    }
}

int main(int argc, char **argv) {
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_is_in_the_table),
        STAGE_TEST(partitioned_metadata),
        STAGE_TEST(lookup),
        STAGE_TEST(producer),
        STAGE_TEST(connect_),
        STAGE_TEST(producer_again),
        STAGE_TEST(lookup_again),
        STAGE_TEST(connect_again),
        STAGE_TEST(send_),
        STAGE_TEST(not_allowed_among_others),
        STAGE_TEST(failed_write_among_others),
        STAGE_TEST(encryption_required),
        STAGE_TEST(no_answer),
        STAGE_TEST(not_ready_in_time),
    };
    return cmocka_run_group_tests(tests, stage_setup, stage_teardown);
}
