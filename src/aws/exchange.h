/*
 * exchange: one signed HTTP request and its reply, once: connection, signature, sending, collecting and checking the
 * body. It knows neither retry nor the meaning of a status. Embedded in its owner and used for one try after another.
 *
 * The CRT holds on to it until a try has ended on its side: an owner that loses interest abandons it and may free it
 * when `gone` is called.
 */
#ifndef AWS_EXCHANGE_H
#define AWS_EXCHANGE_H

#include "aws/endpoint.h"
#include "base/page.h"

struct aws_credentials;
struct aws_http_connection;
struct aws_http_message;
struct aws_http_stream;
struct aws_input_stream;
struct exchange;

/* The try has ended; err is NULL when a whole and sound reply of any status is there. */
typedef void exchange_done(struct exchange *exchange, const struct err *err);
typedef void exchange_gone(struct exchange *exchange);

enum exchange_state { EXCHANGE_IDLE, EXCHANGE_CONNECTING, EXCHANGE_SENT };

/* All borrowed while the exchange is not idle, but for keys, which are needed until it is sent. */
struct exchange_request {
    struct str target; /* empty: the body is a form */
    struct str body;
    struct str region;
    struct str signing_name;
    struct str user_agent;
    struct aws_credentials *keys;
    int64_t date_offset_ms; /* server's clock minus ours */
    size_t max_reply_bytes;
};

struct exchange_reply {
    int status;
    struct page *page; /* the body; NULL without one */
    char request_id[128];
    char error_type[160]; /* x-amzn-ErrorType */
    char encoding[32];    /* Content-Encoding */
    int64_t date_ms;      /* 0 when absent */
    uint64_t retry_after_ms;
    uint64_t content_length;
    uint64_t crc32;      /* as the header says */
    uint32_t body_crc32; /* of the body so far */
    bool has_length;     /* by Content-Length or by chunks */
    bool has_crc32;
};

struct exchange {
    struct endpoint *endpoint;
    struct page_pool *pages;
    exchange_done *done; /* NULL once abandoned */
    exchange_gone *gone;
    enum exchange_state state;
    struct exchange_request request;
    struct exchange_reply reply;
    uint64_t active_ns;              /* when it was sent, or bytes came last */
    struct err failure;              /* why we broke it off ourselves */
    struct aws_task connection_task; /* carries the two below from another thread */
    int connection_error;
    struct aws_http_connection *connection;
    struct aws_http_stream *stream;
    struct aws_http_message *message;
    struct aws_input_stream *body_stream;
};

void exchange_init(struct exchange *exchange, struct endpoint *endpoint, struct page_pool *pages,
                   exchange_done *done, exchange_gone *gone);
/* Only when idle; forgets the reply before. done may come inside, so touch nothing of it afterwards. */
void exchange_start(struct exchange *exchange, const struct exchange_request *request);
/* Ends a sent one with this error; done comes later. */
void exchange_break(struct exchange *exchange, const struct err *err);
/* done will not come; the page is given back at once, gone comes as soon as the CRT has let go, maybe inside. */
void exchange_abandon(struct exchange *exchange);
/* Takes the body from the exchange; may be NULL. */
struct page *exchange_take_page(struct exchange *exchange);

#endif
