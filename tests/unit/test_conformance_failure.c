/* What a producer does when the topic is not its own, not there, full, or grows; and when time runs
 * out. Every message is reported once and in order, whatever happens. */
#include "unit/sender.h"

#include "cmocka_all.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- names ---- */

/* "ProducerBusy on quick reconnect": the broker has not noticed yet that the old one is gone. */
static void busy_after_a_reconnect(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->options.name = STR("p");
    stage_script(stage, "dedup on");
    sender_open_ready(sender);
    sender_send(sender, 100);
    stage_script(stage, "fail PRODUCER 5 ProducerBusy\ndisconnect");
    sender_send(sender, 100);
    STAGE_WAIT(stage, sender->again_count > 0);
    assert_int_equal(sender->last_lost.code, ERR_PULSAR_BUSY);
    sender_finish(sender);
    assert_int_equal(stage_counts(stage).messages, 200);
    stage_free(stage);
}

static void a_held_name_is_for_good(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->options.name = STR("p");
    stage_script(stage, "busy " STAGE_TOPIC " p on");
    sender_open(sender);
    STAGE_WAIT(stage, sender->failed_count > 0);
    assert_int_equal(sender->failure.code, ERR_PULSAR_BUSY);
    stage_free(stage);
}

/* wait_for_name: the former owner goes, and then it is ours. */
static void takes_over_a_name(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct stage *former = stage_beside(stage);
    struct sender *first = sender_new(former);
    struct sender *second = sender_new(stage);
    first->options.name = second->options.name = STR("p");
    second->options.wait_for_name = true;
    stage_script(stage, "dedup on"); /* so that numbering goes on */
    sender_open_ready(first);
    sender_send(first, 100);
    sender_open(second);
    STAGE_WAIT(stage, second->lost_count > 0);
    assert_int_equal(second->last_lost.code, ERR_PULSAR_BUSY);
    sender_finish(first);
    stage_free(former);
    STAGE_WAIT(stage, second->ready_count > 0);
    sender_send(second, 100);
    sender_finish(second);
    assert_int_equal(second->failed_count, 0);
    stage_free(stage);
}

/* ---- exclusive access ---- */

static void exclusive_while_others_are_there(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->options.access_mode = PULSAR_ACCESS_EXCLUSIVE;
    stage_script(stage, "busy " STAGE_TOPIC " other on");
    sender_open(sender);
    STAGE_WAIT(stage, sender->failed_count > 0);
    assert_int_equal(sender->failure.code, ERR_PULSAR_FENCED);
    stage_free(stage);
}

/* The topic's epoch lets it come back. */
static void exclusive_comes_back(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    struct sender *other = sender_new(stage);
    sender->options.access_mode = PULSAR_ACCESS_EXCLUSIVE;
    sender->double_is_fine = true;
    sender_open_ready(sender);
    for (size_t i = 0; i < 5; i++) {
        sender_send(sender, 100);
        stage_script(stage, i % 2 == 0 ? "disconnect" : "unload " STAGE_TOPIC);
        STAGE_WAIT(stage, sender->again_count > (int)i);
    }
    other->options.access_mode = PULSAR_ACCESS_EXCLUSIVE;
    sender_open(other);
    STAGE_WAIT(stage, other->failed_count > 0);
    assert_int_equal(other->failure.code, ERR_PULSAR_FENCED);
    sender_finish(sender);
    assert_int_equal(sender->failed_count, 0);
    stage_free(stage);
}

/* "WaitForExclusive two-phase success": for as long as it takes, whatever create_timeout_ms is. */
static void waits_for_its_turn(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct stage *beside = stage_beside(stage);
    struct sender *first = sender_new(beside);
    struct sender *second = sender_new(stage);
    first->options.access_mode = PULSAR_ACCESS_EXCLUSIVE;
    second->options.access_mode = PULSAR_ACCESS_WAIT_FOR_EXCLUSIVE;
    second->options.create_timeout_ms = 300;
    stage->client_options.operation_timeout_ms = 300;
    stage->client_options.keep_alive_ms = 300; /* counts the time that it waits */
    sender_open_ready(first);
    sender_open(second);
    STAGE_WAIT_COUNT(stage, producers, 2);
    STAGE_WAIT_COUNT(stage, pings, 3);
    STAGE_CHECK(stage, second->ready_count + second->failed_count + second->lost_count == 0);
    sender_send(first, 100);
    sender_finish(first);
    stage_free(beside);
    STAGE_WAIT(stage, second->ready_count > 0);
    sender_send(second, 100);
    sender_finish(second);
    assert_int_equal(stage_counts(stage).producers, 2); /* it asked once */
    stage_free(stage);
}

/* And waits again when its connection ends meanwhile. */
static void waits_again(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->options.access_mode = PULSAR_ACCESS_WAIT_FOR_EXCLUSIVE;
    stage_script(stage, "busy " STAGE_TOPIC " other on");
    sender_open(sender);
    for (uint64_t i = 1; i < 4; i++) {
        STAGE_WAIT_COUNT(stage, producers, i);
        stage_script(stage, "disconnect");
    }
    STAGE_WAIT_COUNT(stage, producers, 4);
    assert_int_equal(sender->ready_count, 0);
    stage_script(stage, "busy " STAGE_TOPIC " other off");
    STAGE_WAIT(stage, sender->ready_count > 0);
    sender_send(sender, 100);
    sender_finish(sender);
    stage_free(stage);
}

/* It can be closed while it waits. */
static void stops_waiting(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->options.access_mode = PULSAR_ACCESS_WAIT_FOR_EXCLUSIVE;
    stage_script(stage, "busy " STAGE_TOPIC " other on");
    sender_open(sender);
    STAGE_WAIT_COUNT(stage, producers, 1);
    sender_close(sender, 10000);
    STAGE_WAIT_COUNT(stage, closed_producers, 1);
    stage_free(stage);
}

/* "fenced": another throws this one out. Nothing more of it is stored, all of it is reported. */
static void thrown_out(void **state) {
    (void)state;
    static const enum pulsar_access_mode modes[] = {PULSAR_ACCESS_EXCLUSIVE,
                                                    PULSAR_ACCESS_EXCLUSIVE_WITH_FENCING};
    for (size_t i = 0; i < 2; i++) {
        struct stage *stage = stage_new();
        struct stage *beside = stage_beside(stage);
        struct sender *first = sender_new(beside);
        struct sender *second = sender_new(stage);
        first->options.access_mode = modes[i];
        second->options.access_mode = PULSAR_ACCESS_EXCLUSIVE_WITH_FENCING;
        sender_open_ready(first);
        sender_send(first, 100);
        sender_drain(first);
        sender_open_ready(second);
        sender_send(second, 10);
        sender_send(first, 100);
        if (modes[i] == PULSAR_ACCESS_EXCLUSIVE) {
            STAGE_WAIT(beside, first->failed_count > 0);
            assert_int_equal(first->failure.code, ERR_PULSAR_FENCED);
            assert_int_equal(first->fates[FATE_STORED], 100);
            assert_int_equal(first->reported, 200);
        } else { /* it comes back with its old epoch, and is told */
            STAGE_WAIT(beside, first->failed_count > 0);
            assert_int_equal(first->failure.code, ERR_PULSAR_FENCED);
        }
        sender_close(first, 1000);
        sender_check(first);
        stage_free(beside);
        sender_send(second, 100);
        sender_finish(second);
        stage_free(stage);
    }
}

/* One that shares is thrown out too, and comes back when it may. */
static void a_sharing_one_comes_back(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct stage *beside = stage_beside(stage);
    struct sender *first = sender_new(stage);
    struct sender *second = sender_new(beside);
    second->options.access_mode = PULSAR_ACCESS_EXCLUSIVE_WITH_FENCING;
    sender_open_ready(first);
    sender_open_ready(second);
    sender_send(first, 100);
    STAGE_WAIT(stage, first->lost_count > 0);
    sender_send(second, 100);
    sender_finish(second);
    stage_free(beside);
    sender_finish(first);
    assert_int_equal(first->fates[FATE_STORED], 100);
    stage_free(stage);
}

/* ---- topics ---- */

/* "terminated", in the middle of everything */
static void terminated(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    stage_script(stage, "partitions * 3\nreceipt-delay 5");
    sender_open_ready(sender);
    sender_send(sender, 20000);
    STAGE_WAIT(stage, sender->receipts > 0);
    stage_script(stage, "terminate " STAGE_TOPIC "-partition-1");
    sender_send(sender, 5000);
    STAGE_WAIT(stage, sender->failed_count > 0);
    assert_int_equal(sender->failure.code, ERR_PULSAR_TERMINATED);
    sender_close(sender, 1000);
    sender_check(sender);
    assert_int_equal(sender->failed_count, 1);
    stage_free(stage);
}

static void deleted(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    stage_script(stage, "partitions " STAGE_TOPIC " 3\nsilent SEND always");
    sender->double_is_fine = true;
    sender_open_ready(sender);
    sender_send(sender, 1000);
    stage_script(stage, "delete-topic " STAGE_TOPIC);
    STAGE_WAIT(stage, sender->failed_count > 0);
    assert_int_equal(sender->failure.code, ERR_PULSAR_NO_TOPIC);
    sender_close(sender, 1000);
    sender_check(sender);
    stage_free(stage);
}

/* "quota hold vs exception" */
static void quota_holds(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->double_is_fine = true;
    sender_open_ready(sender);
    sender_send(sender, 100);
    sender_drain(sender);
    stage_script(stage, "quota " STAGE_TOPIC " hold");
    STAGE_WAIT(stage, sender->last_lost.code == ERR_PULSAR_QUOTA);
    assert_int_equal(sender->last_lost.class, ERR_CLASS_THROTTLE);
    sender_send(sender, 100);
    stage_script(stage, "quota " STAGE_TOPIC " off");
    sender_finish(sender);
    assert_int_equal(sender->fates[FATE_STORED], 200);
    stage_free(stage);
}

static void quota_refuses(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->double_is_fine = true;
    stage_script(stage, "silent SEND always");
    sender_open_ready(sender);
    sender_send(sender, 100);
    stage_script(stage, "clear\nquota " STAGE_TOPIC " exception");
    STAGE_WAIT(stage, sender->reported == 100);
    assert_int_equal(sender->last_undelivered.code, ERR_PULSAR_QUOTA_REFUSED);
    assert_int_equal(sender->failed_count, 0);
    stage_script(stage, "quota " STAGE_TOPIC " off");
    STAGE_WAIT(stage, sender->again_count > 0);
    sender_send(sender, 100);
    sender_finish(sender);
    assert_int_equal(sender->fates[FATE_STORED], 100);
    stage_free(stage);
}

/* ---- growth ---- */

/* "partition growth 3->5", under load: each key's order is kept. */
static void the_topic_grows(void **state) {
    (void)state;
    for (int by_key = 0; by_key < 2; by_key++) {
        struct stage *stage = stage_new();
        struct sender *sender = sender_new(stage);
        sender->options.partitions_update_ms = 20;
        sender->options.batching = by_key ? PULSAR_BATCHING_KEY_BASED : PULSAR_BATCHING_DEFAULT;
        sender->options.max_pending_messages = 200;
        sender->keys = 30;
        stage_script(stage, "brokers 2\npartitions " STAGE_TOPIC
                            " 3\nreceipt-delay 2\nowner " STAGE_TOPIC "-partition-4 1");
        sender_open_ready(sender);
        sender_send(sender, 5000);
        stage_script(stage, "partitions " STAGE_TOPIC " 5");
        STAGE_WAIT(stage, sender->grown_count > 0);
        assert_int_equal(sender->partitions, 5);
        sender_send(sender, 5000);
        sender_finish(sender);
        sender_check_keys(sender);
        bool used[5] = {false};
        for (size_t i = 0; i < 10000; i++) {
            assert_in_range(sender->reports[i].partition, 0, 4);
            used[sender->reports[i].partition] = true;
        }
        assert_true(used[3] && used[4]);
        assert_int_equal(sender->grown_count, 1);
        stage_free(stage);
    }
}

/* With trouble on the way: the new partition is not ready at first, connections end. */
static void the_topic_grows_in_trouble(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->options.partitions_update_ms = 10;
    sender->options.name = STR("p");
    sender->options.max_pending_messages = 100;
    stage_script(stage, "dedup on\npartitions " STAGE_TOPIC
                        " 3\nfail PRODUCER 3 ServiceNotReady on " STAGE_TOPIC
                        "-partition-3\nfail PRODUCER 2 NotAllowedError on " STAGE_TOPIC
                        "-partition-4\nfail PARTITIONED_METADATA 2 ServiceNotReady after 1");
    sender_open_ready(sender);
    sender_send(sender, 1000);
    stage_script(stage, "partitions " STAGE_TOPIC " 5");
    for (size_t i = 0; i < 5; i++) {
        sender_send(sender, 1000);
        stage_script(stage, "disconnect");
    }
    STAGE_WAIT(stage, sender->grown_count > 0);
    sender_send(sender, 1000);
    sender_finish(sender);
    sender_check_keys(sender);
    assert_int_equal(stage_counts(stage).messages, 7000);
    stage_free(stage);
}

static void pinned_partitions_stay(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->options.partitions = 3;
    sender->options.partitions_update_ms = 5;
    stage_script(stage, "partitions * 5");
    sender_open_ready(sender);
    assert_int_equal(sender->partitions, 3);
    sender_send(sender, 300);
    sender_finish(sender);
    for (size_t i = 0; i < 300; i++) {
        assert_in_range(sender->reports[i].partition, 0, 2);
    }
    assert_int_equal(sender->grown_count, 0);
    stage_free(stage);
}

static void too_many_partitions(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    stage_script(stage, "partitions * %d", PULSAR_PARTITIONS_MAX + 1);
    sender_open(sender);
    STAGE_WAIT(stage, sender->failed_count > 0);
    assert_int_equal(sender->failure.code, ERR_CONFIG);
    assert_non_null(strstr(sender->failure.text, "has 16385 partitions"));
    assert_int_equal(stage_counts(stage).producers, 0);
    struct sender *pinned = sender_new(stage);
    pinned->options.partitions = 3;
    sender_open_ready(pinned);
    sender_send(pinned, 300);
    sender_finish(pinned);
    stage_free(stage);
}

static void the_topic_grows_too_large(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->options.partitions_update_ms = 5;
    stage_script(stage, "partitions * 3");
    sender_open_ready(sender);
    sender_send(sender, 100);
    stage_script(stage, "partitions * 4294967295");
    STAGE_WAIT(stage, sender->lost_count > 0);
    assert_int_equal(sender->last_lost.code, ERR_CONFIG);
    sender_send(sender, 100);
    sender_drain(sender);
    stage_script(stage, "partitions * 4");
    STAGE_WAIT(stage, sender->grown_count > 0);
    sender_send(sender, 100);
    sender_finish(sender);
    stage_free(stage);
}

/* ---- time ---- */

/* sendTimeout: all that waits on the partition is undelivered, in order; then it goes on. Receipts
 * that come later mean nothing. */
static void send_timeout(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->options.send_timeout_ms = 1000;
    stage_script(stage, "partitions * 3\nreceipt-delay 3000");
    sender_open_ready(sender);
    sender_send(sender, 500);
    STAGE_WAIT(stage, sender->reported == 500);
    assert_int_equal(sender->fates[FATE_STORED], 0);
    assert_int_equal(sender->fates[FATE_MAYBE] + sender->fates[FATE_LOST], 500);
    assert_non_null(strstr(sender->last_undelivered.text, "sendTimeout"));
    assert_int_equal(sender->failed_count, 0);
    stage_script(stage,
                 "receipt-delay 0\ndisconnect"); /* receipts keep their order on a connection */
    STAGE_WAIT(stage, sender->again_count > 2);
    sender_send(sender, 500);
    sender_finish(sender);
    assert_int_equal(sender->fates[FATE_STORED], 500);
    stage_free(stage);
}

static void late_receipts_mean_nothing(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->options.send_timeout_ms = 1000;
    stage_script(stage, "delay SEND 1 1500");
    sender_open_ready(sender);
    sender_send(sender, 10);
    STAGE_WAIT(stage, sender->reported == 10);
    assert_int_equal(sender->fates[FATE_MAYBE], 10);
    sender_send(sender, 10); /* their receipt comes behind that one */
    sender_finish(sender);
    assert_int_equal(sender->reported, 20);
    assert_int_equal(stage_counts(stage).connects, 1);
    stage_free(stage);
}

/* Without a broker they time out as well, and are not sent afterwards. */
static void send_timeout_without_a_broker(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    sender->options.send_timeout_ms = 1000;
    sender_open_ready(sender);
    stage_script(stage, "fail CONNECT always ServiceNotReady\ndisconnect");
    STAGE_WAIT(stage, sender->lost_count > 0);
    sender_send(sender, 100);
    STAGE_WAIT(stage, sender->reported == 100);
    assert_int_equal(sender->fates[FATE_LOST], 100);
    stage_script(stage, "clear");
    STAGE_WAIT(stage, sender->again_count > 0);
    sender_send(sender, 100);
    sender_finish(sender);
    assert_int_equal(sender->fates[FATE_STORED], 100);
    stage_free(stage);
}

/* "close(deadline) with broker down returns and reports every message exactly once, in order" */
static void closes_without_a_broker(void **state) {
    (void)state;
    static const char *const ways[] = {
        "silent SEND always",                               /* it takes and says nothing */
        "pause 100000",                                     /* it reads nothing */
        "fail CONNECT always ServiceNotReady\ndisconnect",  /* it is down */
        "drop-before CONNECT always\ndisconnect",           /* it goes down again and again */
        "silent CONNECT always\ndisconnect",                /* it does not greet */
        "silent LOOKUP always\ndisconnect",                 /* nobody knows where the topic is */
        "fail PRODUCER always ServiceNotReady\ndisconnect", /* it does not load */
        "silent PRODUCER always\nsilent CLOSE_PRODUCER always\ndisconnect",
        "silent SEND always\nsilent CLOSE_PRODUCER always",
    };
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        for (uint32_t timeout_ms = 0; timeout_ms <= 100; timeout_ms += 100) {
            struct stage *stage = stage_new();
            struct sender *sender = sender_new(stage);
            sender->double_is_fine = true;
            stage_script(stage, "partitions * 3");
            sender_open_ready(sender);
            sender_send(sender, 100);
            stage_script(stage, "%s", ways[i]);
            sender_send(sender, 1000);
            uint64_t before_ms = fake_server_now_ms();
            sender_close(sender, timeout_ms);
            assert_true(fake_server_now_ms() - before_ms < 10000);
            sender_check(sender);
            assert_int_equal(sender->failed_count, 0);
            if (sender->fates[FATE_MAYBE] + sender->fates[FATE_LOST] > 0) {
                assert_int_equal(sender->last_undelivered.code, ERR_CANCELLED);
            }
            stage_free(stage);
        }
    }
}

/* Closing waits for what is on its way, and no longer. */
static void closing_waits_for_receipts(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_new(stage);
    stage_script(stage, "partitions * 3\nreceipt-delay 200");
    sender_open_ready(sender);
    sender_send(sender, 1000);
    uint64_t before_ms = fake_server_now_ms();
    sender_close(sender, 20000);
    assert_true(fake_server_now_ms() - before_ms < 10000);
    sender_check(sender);
    assert_int_equal(sender->fates[FATE_STORED], 1000);
    assert_int_equal(stage_counts(stage).live_producers, 0);
    stage_free(stage);
}

/* At any moment of its life. */
static void closed_at_any_moment(void **state) {
    (void)state;
    static const char *const ops[] = {"CONNECT", "PARTITIONED_METADATA", "LOOKUP", "PRODUCER"};
    for (size_t i = 0; i < 4; i++) {
        struct stage *stage = stage_new();
        struct sender *sender = sender_new(stage);
        stage_script(stage, "partitions * 3\nsilent %s always", ops[i]);
        sender_open(sender);
        if (i == 0) {
            STAGE_WAIT_COUNT(stage, connects, 1);
        } else if (i == 1) {
            STAGE_WAIT_COUNT(stage, partitioned_metadata, 1);
        } else if (i == 2) {
            STAGE_WAIT_COUNT(stage, lookups, 3);
        } else {
            STAGE_WAIT_COUNT(stage, producers, 3);
        }
        sender_close(sender, 10000);
        assert_int_equal(sender->ready_count, 0);
        assert_int_equal(sender->failed_count, 0);
        stage_free(stage);
    }
}

/* ---- called off ---- */

static struct sender *sender_that_calls_off(struct stage *stage, uint64_t from, uint64_t to) {
    struct sender *sender = sender_new(stage);
    sender->may_call_off = true;
    sender->off_from = from;
    sender->off_to = to;
    return sender;
}

/* The rest is stored, in order; a writer that waited for room goes on. */
static void called_off(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_that_calls_off(stage, 30, 60);
    sender->options.batch_max_messages = 7;
    sender->options.max_pending_messages = 20;
    stage_script(stage, "partitions * 3");
    sender_open_ready(sender);
    sender_send(sender, 100);
    sender_finish(sender);
    assert_in_range(sender->fates[FATE_LOST], 30, 30 + 2 * 3 * 6); /* and their batches */
    assert_int_equal(sender->last_undelivered.code, ERR_CANCELLED);
    assert_int_equal(sender->fates[FATE_STORED], 100 - sender->fates[FATE_LOST]);
    assert_int_equal(stage_counts(stage).messages, sender->fates[FATE_STORED]);
    assert_int_equal(sender->stats.in_flight + sender->stats.in_flight_bytes, 0);
    stage_free(stage);
}

/* What was on its way when the connection broke is not sent again; nobody knows whether it was stored. */
static void called_off_before_it_is_sent_again(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_that_calls_off(stage, 0, 0);
    stage_script(stage, "silent SEND always");
    sender_open_ready(sender);
    sender_send(sender, 10);
    STAGE_WAIT_COUNT(stage, sends, 1);
    (void)pthread_mutex_lock(&stage->lock);
    sender->off_to = 10;
    (void)pthread_mutex_unlock(&stage->lock);
    stage_script(stage, "clear\ndisconnect");
    STAGE_WAIT(stage, sender->again_count > 0);
    sender_send(sender, 10);
    sender_finish(sender);
    assert_int_equal(sender->fates[FATE_MAYBE] + sender->fates[FATE_LOST], 10);
    assert_true(sender->fates[FATE_MAYBE] > 0);
    assert_int_equal(sender->fates[FATE_STORED], 10);
    stage_free(stage);
}

static void called_off_in_chunks(void **state) {
    (void)state;
    struct stage *stage = stage_new();
    struct sender *sender = sender_that_calls_off(stage, 3, 5);
    sender->options.chunking = true;
    sender->value_len = 20000;
    stage_script(stage, "max-message-size 6000");
    sender_open_ready(sender);
    sender_send(sender, 8);
    sender_finish(sender);
    assert_int_equal(sender->fates[FATE_LOST], 2);
    assert_int_equal(sender->fates[FATE_STORED], 6);
    stage_free(stage);
}

int main(int argc, char **argv) {
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    const struct CMUnitTest tests[] = {
        STAGE_TEST(busy_after_a_reconnect),
        STAGE_TEST(a_held_name_is_for_good),
        STAGE_TEST(takes_over_a_name),
        STAGE_TEST(exclusive_while_others_are_there),
        STAGE_TEST(exclusive_comes_back),
        STAGE_TEST(waits_for_its_turn),
        STAGE_TEST(waits_again),
        STAGE_TEST(stops_waiting),
        STAGE_TEST(thrown_out),
        STAGE_TEST(a_sharing_one_comes_back),
        STAGE_TEST(terminated),
        STAGE_TEST(deleted),
        STAGE_TEST(quota_holds),
        STAGE_TEST(quota_refuses),
        STAGE_TEST(the_topic_grows),
        STAGE_TEST(the_topic_grows_in_trouble),
        STAGE_TEST(pinned_partitions_stay),
        STAGE_TEST(too_many_partitions),
        STAGE_TEST(the_topic_grows_too_large),
        STAGE_TEST(send_timeout),
        STAGE_TEST(late_receipts_mean_nothing),
        STAGE_TEST(send_timeout_without_a_broker),
        STAGE_TEST(closes_without_a_broker),
        STAGE_TEST(closing_waits_for_receipts),
        STAGE_TEST(closed_at_any_moment),
        STAGE_TEST(called_off),
        STAGE_TEST(called_off_before_it_is_sent_again),
        STAGE_TEST(called_off_in_chunks),
    };
    return cmocka_run_group_tests(tests, stage_setup, stage_teardown);
}
