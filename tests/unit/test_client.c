/* Where a client goes by the URLs that brokers name. */
#include "unit/cmocka_all.h"

#include "pulsar/client.h"

#include <aws/common/thread.h>
#include <aws/io/io.h>

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool closed;

static void on_closed(void *ctx) {
    (void)ctx;
    (void)pthread_mutex_lock(&lock);
    closed = true;
    (void)pthread_cond_signal(&changed);
    (void)pthread_mutex_unlock(&lock);
}

static void close_client(void *ctx) {
    pulsar_client_close(ctx, on_closed, NULL);
}

static void expect(const struct pulsar_client *client, const char *url, const char *url_tls,
                   const char *expected) {
    struct address address;
    struct err err = ERR_NONE;
    if (!client_broker_address(client, url, url_tls, &address, &err)) {
        fail_msg("%s", err.text);
    }
    assert_string_equal(address_text(&address).text, expected);
}

static void expect_none(const struct pulsar_client *client, const char *url, const char *url_tls,
                        enum err_code code, const char *text) {
    struct address address;
    struct err err = ERR_NONE;
    assert_false(client_broker_address(client, url, url_tls, &address, &err));
    assert_string_equal(err_code_name(err.code), err_code_name(code));
    assert_non_null(strstr(err.text, text));
    assert_false(client_broker_address(client, url, url_tls, &address, NULL));
}

static void broker_addresses(void **state) {
    (void)state;
    static const char *const services[] = {"pulsar://a", "pulsar+ssl://a"};
    for (int tls = 0; tls < 2; tls++) {
        struct err err = ERR_NONE;
        struct lane *lane = lane_new(0, &err);
        assert_non_null(lane);
        struct pulsar_client_options options = {.service_url = str_of(services[tls]),
                                                .tls_allow_insecure = true};
        struct pulsar_client *client = pulsar_client_new(lane, &options, &err);
        assert_non_null(client);
        if (tls) {
            expect(client, "pulsar://p:1", "pulsar+ssl://s:2", "s:2");
            expect(client, NULL, "pulsar+ssl://s", "s:6651");
            expect(client, "pulsar://b:1", "pulsar://b:1", "b:1"); /* so a proxy answers */
            expect_none(client, "pulsar://p:1", NULL, ERR_PULSAR_REFUSED, "no address with TLS");
            expect_none(client, "pulsar://p:1", "", ERR_PULSAR_REFUSED, "no address with TLS");
            expect_none(client, NULL, "http://s:2", ERR_PULSAR_PROTOCOL, "http://s:2");
        } else {
            expect(client, "pulsar://p:1", "pulsar+ssl://s:2", "p:1");
            expect(client, "pulsar://p", NULL, "p:6650");
            expect(client, "pulsar+ssl://b:1", "pulsar+ssl://b:1", "b:1");
            expect_none(client, NULL, "pulsar+ssl://s:2", ERR_PULSAR_REFUSED, "pulsar+ssl://");
            expect_none(client, "", "pulsar+ssl://s:2", ERR_PULSAR_REFUSED, "pulsar+ssl://");
            expect_none(client, "pulsar://p:1,q:2", NULL, ERR_PULSAR_PROTOCOL, "p:1,q:2");
        }
        struct lane_message message;
        closed = false;
        lane_post(lane, &message, close_client, client);
        (void)pthread_mutex_lock(&lock);
        while (!closed) {
            (void)pthread_cond_wait(&changed, &lock);
        }
        (void)pthread_mutex_unlock(&lock);
        lane_free(lane);
        aws_thread_join_all_managed();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(broker_addresses)};
    aws_io_library_init(aws_default_allocator());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    aws_io_library_clean_up();
    return failed;
}
