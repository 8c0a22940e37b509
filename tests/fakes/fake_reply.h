/*
 * fake_reply: what the AWS double answers to one call: status, body, and what shall go wrong on its
 * way. Owned by whoever carries it: the HTTP front, a test, a simulation.
 */
#ifndef FAKES_FAKE_REPLY_H
#define FAKES_FAKE_REPLY_H

#include "base/buf.h"
#include "fakes/fake_pages.h"

#include <yyjson.h>

struct fake_reply {
    unsigned status;
    struct buf body;
    struct fake_page *page; /* the body instead, at memory speed; released by fake_reply_done */
    const char *content_type;
    int64_t date_ms;   /* the double's clock: for the Date header */
    uint64_t delay_ms; /* before the first byte */
    bool drop;         /* close the connection instead of answering */
    bool wrong_crc;
    bool no_crc;
    bool gzip;          /* the caller allowed it and the scenario wants it */
    size_t cut;         /* close after so many bytes of the body; SIZE_MAX: all */
    uint64_t drip;      /* so many bytes every 10 ms; 0: at once */
    int64_t length_off; /* added to Content-Length */
};

enum { FAKE_REPLY_MAX = 256 * 1024 * 1024 };

void fake_reply_init(struct fake_reply *reply);
void fake_reply_done(struct fake_reply *reply);

/* {"__type":"<prefix>#code","message":...}, with the prefix that the service uses for that code.
 * An empty message is left out. */
void fake_reply_error(struct fake_reply *reply, unsigned status, const char *code,
                      const char *message);
/* 400 ValidationException. */
void fake_reply_invalid(struct fake_reply *reply, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* 400 ResourceNotFoundException. */
void fake_reply_not_found(struct fake_reply *reply, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Appends a JSON value to the body. */
void fake_reply_add_json(struct fake_reply *reply, const yyjson_mut_val *value);

/* One operation of a service: reads the request's JSON object, writes a reply whose status is 200
 * so far. */
typedef void fake_operation(void *of, yyjson_val *in, int64_t now_ms, struct fake_reply *reply);

/* A string member; {NULL, 0} when it is absent or of another type. */
struct str fake_json_str(yyjson_val *object, const char *name);

#endif
