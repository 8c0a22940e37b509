/*
 * fake_server: the sockets of a test double: one thread with epoll, any number of loopback
 * listeners, connections with bounded input and queued output, one-shot timers. Plain sockets on
 * purpose: a double must not share code, and so defects, with what it tests.
 *
 * Every handler runs on the server's thread with the server's lock held. Another thread takes the
 * lock (fake_server_lock) and may then call everything here; it must not hold the lock for long.
 */
#ifndef FAKES_FAKE_SERVER_H
#define FAKES_FAKE_SERVER_H

#include "base/err.h"
#include "base/str.h"

struct fake_server;
struct fake_conn;
struct fake_tls;

struct fake_handler {
    /* A connection was accepted; what it returns becomes fake_conn_state. */
    void *(*opened)(void *ctx, struct fake_conn *conn);
    /* There is input: take some of it with fake_conn_input and fake_conn_consume. Called again with
     * more. */
    void (*received)(void *ctx, struct fake_conn *conn);
    /* The connection is gone; free the state. */
    void (*closed)(void *ctx, struct fake_conn *conn);
};

/* NULL and err when the system refuses. */
struct fake_server *fake_server_new(struct err *err);
/* Listens on 127.0.0.1; port 0 takes a free one. handler and ctx outlive the server. Returns the
 * port, or 0 and err. */
uint16_t fake_server_listen(struct fake_server *server, uint16_t port,
                            const struct fake_handler *handler, void *ctx, struct err *err);
/* What it shows on TLS ports from now on; see fake_tls_identity_new. */
bool fake_server_identity(struct fake_server *server, const char *certificate, const char *key,
                          const char *ca, struct err *err);
/* As fake_server_listen, with TLS; fake_server_identity comes first. */
uint16_t fake_server_listen_tls(struct fake_server *server, uint16_t port,
                                const struct fake_handler *handler, void *ctx, struct err *err);
/* Starts the thread. */
bool fake_server_start(struct fake_server *server, struct err *err);
/* Ends the thread, closes everything (handlers' closed is called, on the caller's thread). NULL is
 * fine. */
void fake_server_free(struct fake_server *server);

void fake_server_lock(struct fake_server *server);
void fake_server_unlock(struct fake_server *server);

/* Monotonic and wall clock. */
uint64_t fake_server_now_ms(void);
int64_t fake_server_wall_ms(void);

typedef void fake_timer_fn(void *ctx, struct fake_conn *conn);
/* Calls fn(ctx, conn) in delay_ms on the server's thread; never when the connection is gone before.
 * conn may be NULL. Those of equal time run in the order of these calls. False when out of memory.
 */
bool fake_server_after(struct fake_server *server, uint64_t delay_ms, fake_timer_fn *fn, void *ctx,
                       struct fake_conn *conn);

/* ---- connections; the lock is held ---- */

void *fake_conn_state(struct fake_conn *conn);
/* The port that it came in by. */
uint16_t fake_conn_port(const struct fake_conn *conn);
/* NULL: none. */
const struct fake_tls *fake_conn_tls(const struct fake_conn *conn);

/* What has arrived and was not consumed. Valid until the next fake_conn_consume, or the handler's
 * return. */
struct str fake_conn_input(const struct fake_conn *conn);
void fake_conn_consume(struct fake_conn *conn, size_t len);
/* No more bytes are read from the socket until it is undone. */
void fake_conn_pause(struct fake_conn *conn, bool paused);
/* Hands the input that is there to the handler once more. */
void fake_conn_poke(struct fake_conn *conn);

/* Queues a copy. Nothing happens on a connection that is closing. */
void fake_conn_write(struct fake_conn *conn, const void *bytes, size_t len);
/* Queues bytes without a copy; release(ctx) is called once, when they are written or given up. */
void fake_conn_write_borrowed(struct fake_conn *conn, const void *bytes, size_t len,
                              void (*release)(void *ctx), void *ctx);
/* From now on output leaves in pieces of so many bytes every 10 ms; 0: as fast as it goes. */
void fake_conn_drip(struct fake_conn *conn, size_t bytes);
/* Whether it ends when the handler returns, or when its output is written: input counts for nothing
 * any more. */
bool fake_conn_is_dead(const struct fake_conn *conn);
/* Closes when what is queued has been written. */
void fake_conn_close(struct fake_conn *conn);
/* Closes at once with a reset; what is queued is lost. */
void fake_conn_abort(struct fake_conn *conn);

#endif
