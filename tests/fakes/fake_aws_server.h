/*
 * fake_aws_server: the AWS double behind HTTP on 127.0.0.1, with a thread of its own. One port
 * serves all services and the control interface (fake_http.h): POST /control, GET /control/counts,
 * GET /control/metrics.
 */
#ifndef FAKES_FAKE_AWS_SERVER_H
#define FAKES_FAKE_AWS_SERVER_H

#include "fakes/fake_aws.h"
#include "fakes/fake_server.h"

struct fake_aws_server;

/* Port 0 takes a free one. scenario: the path of a file, or NULL. NULL and err on failure. */
struct fake_aws_server *fake_aws_server_new(uint16_t port, const char *scenario, struct err *err);
/* NULL is fine. */
void fake_aws_server_free(struct fake_aws_server *server);
uint16_t fake_aws_server_port(const struct fake_aws_server *server);

/* Runs scenario lines, from any thread. */
bool fake_aws_server_script(struct fake_aws_server *server, const char *lines, struct err *err);
uint64_t fake_aws_server_count(struct fake_aws_server *server, enum fake_aws_op op);
/* The engine, for other questions: only between lock and unlock. */
struct fake_aws *fake_aws_server_lock(struct fake_aws_server *server);
void fake_aws_server_unlock(struct fake_aws_server *server);

#endif
