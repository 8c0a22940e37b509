/* Deduplication: whatever happens, every message is stored exactly once; over reconnects, over
 * restarts with other batches, and when a successor takes over what its former owner left on its
 * way. */
#include "unit/sender.h"

#include "cmocka_all.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* "dup-unknown error loop converges": what was pushed and is not safe yet comes again after a
 * reconnect, and the broker cannot tell. */
static void unknown_duplicates_become_known(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->options.name = STR("p");
    sender->options.batch_max_messages = 10;
    stage_script(stage, "dedup on\npersist-delay 200");
    sender_open_ready(sender);
    for (size_t i = 0; i < 3; i++) {
        sender_send(sender, 500);
        STAGE_WAIT_COUNT(stage, messages, i * 500 + 100);
        stage_script(stage, "disconnect");
        STAGE_WAIT_COUNT(stage, send_errors, i + 1);
        sender_drain(sender);
    }
    sender_finish(sender);
    assert_int_equal(sender->fates[FATE_STORED] + sender->fates[FATE_DUPLICATE], 1500);
    assert_true(sender->fates[FATE_DUPLICATE] >= 300);
    assert_int_equal(stage_counts(stage).messages, 1500);
    stage_free(stage);
}

/* ---- restarts ---- */

/* A source that numbers its messages: the same number, key and partition after a restart. */
static struct sender *source(struct stage *stage, uint64_t first, uint32_t batch) {
    struct sender *sender = sender_new(stage);
    sender->id = 's';
    sender->first_token = first;
    sender->options.name = STR("source");
    sender->options.explicit_sequence_ids = true;
    sender->options.wait_for_name = true;
    sender->options.partitions = 3;
    sender->options.batch_max_messages = batch;
    return sender;
}

/* Tokens 0 to count - 1 are in the store, once each, those of a partition in order. */
static void check_whole(struct stage *stage, size_t count) {
    unsigned char *seen = calloc(count + 1, 1);
    assert_non_null(seen);
    uint64_t next[3] = {0};
    const char *wrong = NULL;
    uint64_t token = 0;
    const struct fake_broker_store *store = fake_broker_lock(stage->broker);
    size_t stored = store->count;
    for (size_t i = 0; i < store->count && wrong == NULL; i++) {
        const struct fake_message *message = &store->messages[i];
        if (sscanf(message->value, "s:%" SCNu64 ":", &token) != 1 || token >= count ||
            token != message->sequence_id) {
            wrong = "is none of ours";
        } else if (seen[token] > 0) {
            wrong = "is there twice";
        } else if (token < next[message->partition]) {
            wrong = "is behind a later one";
        } else {
            seen[token] = 1;
            next[message->partition] = token + 1;
        }
    }
    fake_broker_unlock(stage->broker);
    for (size_t i = 0; i < count && wrong == NULL; i++) {
        token = i;
        wrong = seen[i] == 0 ? "is lost" : NULL;
    }
    free(seen);
    if (wrong != NULL) {
        stage_fail(stage, "message %" PRIu64 " %s, of %zu; %zu are stored", token, wrong, count,
                   stored);
    }
}

/* Stops in the middle, whatever is on its way. */
static void stop(struct stage *stage, struct sender *sender) {
    sender_close(sender, 0);
    assert_int_equal(sender->taken, sender->reported);
    stage_free(stage);
}

/* "dedup restart with different batch boundaries loses nothing and stores no duplicate" */
static void restarts_with_other_batches(void **state) {
    (void)state;
    static const uint32_t batches[] = {7, 11, 3, 50, 1, 13};
    enum { RUNS = 24, STEP = 40 };
    struct stage *stage = stage_new();
    /* Batches differ, so entries of the same first id do. */
    stage_script(stage, "strict off\ndedup on\npartitions * 3\nreceipt-delay 2");
    uint64_t checkpoint = 0;
    for (size_t run = 0; run < RUNS; run++) {
        struct stage *process = stage_beside(stage);
        struct sender *sender = source(process, checkpoint, batches[run % 6]);
        sender->options.batching = run % 5 == 4 ? PULSAR_BATCHING_NONE : PULSAR_BATCHING_DEFAULT;
        sender->options.compression =
            run % 2 == 0 ? PULSAR_COMPRESSION_LZ4 : PULSAR_COMPRESSION_NONE;
        sender_open_ready(sender);
        sender_send(sender, 4 * STEP);
        if (run % 3 == 1) {
            stage_script(stage, "disconnect");
        }
        /* Some receipts have come. A source goes back further than it must. */
        STAGE_WAIT(process, sender->reported >= STEP + run);
        (void)pthread_mutex_lock(&process->lock);
        uint64_t done = 0;
        while (done < 4 * STEP && (sender->reports[done].fate == FATE_STORED ||
                                   sender->reports[done].fate == FATE_DUPLICATE)) {
            done++;
        }
        (void)pthread_mutex_unlock(&process->lock);
        stop(process, sender);
        checkpoint += done / 2;
    }
    struct sender *last = source(stage, checkpoint, 20);
    sender_open_ready(last);
    sender_send(last, 4 * STEP);
    sender_drain(last);
    assert_int_equal(last->fates[FATE_STORED] + last->fates[FATE_DUPLICATE], 4 * STEP);
    check_whole(stage, (size_t)checkpoint + 4 * STEP);
    stage_free(stage);
}

/* The takeover race: the successor is told what is safe, while more of its predecessor's is on its
 * way, in batches that begin below and end above. */
static void takes_over_what_is_on_its_way(void **state) {
    (void)state;
    static const uint32_t batches[] = {10, 4, 25, 1};
    for (size_t run = 0; run < 12; run++) {
        struct stage *stage = stage_new();
        stage_script(stage, "strict off\ndedup on\npartitions * 3\npersist-delay %zu",
                     20 + run * 10);
        uint64_t sent = 30 + run * 17;
        struct stage *former = stage_beside(stage);
        struct sender *first = source(former, 0, batches[run % 4]);
        sender_open_ready(first);
        sender_send(first, sent);
        STAGE_WAIT_COUNT(stage, messages, sent / 2);
        if (run % 2 == 0) { /* dies */
            stage_script(stage, "disconnect");
        }
        stop(former, first);

        struct stage *latter = stage_beside(stage);
        struct sender *second = source(latter, 0, batches[(run + 1) % 4]);
        sender_open_ready(second);
        sender_send(second, 300);
        sender_drain(second);
        sender_close(second, 10000);
        assert_int_equal(second->fates[FATE_STORED] + second->fates[FATE_DUPLICATE], 300);
        /* None of its own was taken for one of the other's. */
        assert_true(second->fates[FATE_STORED] >= 300 - sent);
        stage_free(latter);
        check_whole(stage, 300);
        stage_free(stage);
    }
}

static void large_ones(struct sender *sender, uint64_t token, struct pulsar_message *message) {
    (void)sender;
    struct str *value = (struct str *)(uintptr_t)message->value;
    value[1].len = token % 3 == 1 ? 50000 : 10;
}

/* The same with messages in chunks, whose last one is judged. */
static void takes_over_chunks(void **state) {
    (void)state;
    for (size_t run = 0; run < 8; run++) {
        struct stage *stage = stage_new();
        stage_script(stage,
                     "strict off\ndedup on\npartitions * 3\nmax-message-size 20000\npersist-delay "
                     "30\ndrop-before SEND 1 after %zu",
                     10 + run);
        for (size_t i = 0; i < 3; i++) {
            struct stage *process = stage_beside(stage);
            struct sender *sender = source(process, 0, 5);
            sender->options.chunking = true;
            sender->value_len = 1;
            sender->make = large_ones;
            sender_open_ready(sender);
            sender_send(sender, 60);
            if (i < 2) {
                STAGE_WAIT_COUNT(stage, messages, 20 * (i + 1));
                stop(process, sender);
            } else {
                sender_drain(sender);
                sender_close(sender, 10000);
                stage_free(process);
            }
        }
        check_whole(stage, 60);
        stage_free(stage);
    }
}

/* What the broker has is reported without being sent. */
static void known_ones_are_not_sent(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    stage_script(stage, "strict off\ndedup on\npartitions * 3");
    struct stage *former = stage_beside(stage);
    struct sender *first = source(former, 0, 10);
    sender_open_ready(first);
    sender_send(first, 300);
    sender_drain(first);
    stop(former, first);
    uint64_t sends = stage_counts(stage).sends;
    struct sender *second = source(stage, 0, 10);
    sender_open_ready(second);
    sender_send(second, 300);
    sender_drain(second);
    assert_int_equal(second->fates[FATE_DUPLICATE], 300);
    assert_int_equal(stage_counts(stage).sends, sends);
    assert_int_equal(second->stats.duplicates, 300);
    sender_send(second, 30);
    sender_drain(second);
    assert_int_equal(second->fates[FATE_STORED], 30);
    check_whole(stage, 330);
    stage_free(stage);
}

static void last_ids_are_told(void *ctx) {
    struct sender *sender = ctx;
    const struct fake_broker_store *store = fake_broker_lock(sender->stage->broker);
    for (uint32_t i = 0; i < 3; i++) {
        char topic[64];
        (void)snprintf(topic, sizeof topic, STAGE_TOPIC "-partition-%u", i);
        if (pulsar_producer_last_sequence_id(sender->producer, i) !=
            fake_broker_store_persisted(store, str_of(topic), STR("source"))) {
            (void)snprintf(sender->stage->wrong, sizeof sender->stage->wrong, "last id of %u", i);
        }
        if (!str_is(pulsar_producer_name(sender->producer, i), "source")) {
            (void)snprintf(sender->stage->wrong, sizeof sender->stage->wrong, "name of %u", i);
        }
    }
    fake_broker_unlock(sender->stage->broker);
    if (pulsar_producer_partitions(sender->producer) != 3) {
        (void)snprintf(sender->stage->wrong, sizeof sender->stage->wrong, "partitions");
    }
}

static void what_the_broker_knew(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    stage_script(stage, "strict off\ndedup on\npartitions * 3");
    for (size_t i = 0; i < 2; i++) {
        struct stage *process = stage_beside(stage);
        struct sender *sender = source(process, i * 100, 10);
        sender_open_ready(sender);
        stage_run(process, last_ids_are_told, sender); /* first -1, then those of the first */
        sender_send(sender, 100);
        sender_drain(sender);
        stop(process, sender);
    }
    check_whole(stage, 200);
    stage_free(stage);
}

/* Numbering goes on where the name left off, though the program gives none. */
static void a_name_goes_on_numbering(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    stage_script(stage, "dedup on");
    for (size_t i = 0; i < 3; i++) {
        struct stage *process = stage_beside(stage);
        struct sender *sender = sender_new(process);
        sender->options.name = STR("p");
        sender->options.wait_for_name = true;
        sender->id = (char)('x' + i);
        sender_open_ready(sender);
        sender_send(sender, 100);
        sender_finish(sender);
        assert_int_equal(sender->fates[FATE_STORED], 100);
        stage_free(process);
    }
    assert_int_equal(stage_counts(stage).messages, 300);
    stage_free(stage);
}

/* After hours without a message the broker forgets a name, and then takes everything for new. */
static void forgotten_names_are_new(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    stage_script(stage, "strict off\ndedup on\npartitions * 3");
    struct stage *former = stage_beside(stage);
    struct sender *first = source(former, 0, 10);
    sender_open_ready(first);
    sender_send(first, 100);
    sender_drain(first);
    stop(former, first);
    stage_script(stage, "forget-producers");
    struct sender *second = source(stage, 100, 10); /* by its own checkpoint */
    sender_open_ready(second);
    sender_send(second, 100);
    sender_drain(second);
    assert_int_equal(second->fates[FATE_STORED], 100);
    check_whole(stage, 200);
    stage_free(stage);
}

/* Numbers that do not fit are not taken. */
static void any_number(struct sender *sender, uint64_t token, struct pulsar_message *message) {
    static const uint64_t ids[] = {5, 7, 7, 6, 20, UINT64_MAX, INT64_MAX};
    (void)sender;
    message->key = STR("one");
    message->sequence_id = ids[token];
}

static void numbers_rise_with_gaps(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = source(stage, 0, 10);
    stage_script(stage, "dedup on\npartitions * 3");
    sender->make = any_number;
    sender_open_ready(sender);
    sender_send(sender, 7);
    sender_drain(sender);
    assert_int_equal(sender->taken, 4); /* 5, 7, 20, the largest */
    assert_int_equal(sender->refused_count, 3);
    assert_int_equal(sender->refusal.class, ERR_CLASS_FATAL);
    assert_int_equal(sender->fates[FATE_STORED], 4);
    assert_int_equal(stage_counts(stage).messages, 4);
    stage_free(stage);
}

static void what_contradicts_itself_is_not_opened(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct stage *stage = stage_new();
        struct sender *sender = source(stage, 0, 10);
        switch (i) {
        case 0:
            sender->options.name = STR_NONE;
            break;
        case 1:
            sender->options.batching = PULSAR_BATCHING_KEY_BASED;
            break;
        default:
            sender->options.send_timeout_ms = 1000;
        }
        sender_open(sender);
        assert_true(sender->refuse_open);
        assert_int_equal(sender->failure.code, ERR_CONFIG);
        stage_free(stage);
    }
}

int main(int argc, char **argv) {
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    const struct CMUnitTest tests[] = {
        STAGE_TEST(unknown_duplicates_become_known),
        STAGE_TEST(restarts_with_other_batches),
        STAGE_TEST(takes_over_what_is_on_its_way),
        STAGE_TEST(takes_over_chunks),
        STAGE_TEST(known_ones_are_not_sent),
        STAGE_TEST(what_the_broker_knew),
        STAGE_TEST(a_name_goes_on_numbering),
        STAGE_TEST(forgotten_names_are_new),
        STAGE_TEST(numbers_rise_with_gaps),
        STAGE_TEST(what_contradicts_itself_is_not_opened),
    };
    return cmocka_run_group_tests(tests, stage_setup, stage_teardown);
}
