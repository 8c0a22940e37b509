/*
 * fake_aws: a scripted double of DynamoDB Streams, of the DynamoDB tables that leases need, and of
 * CloudWatch's PutMetricData. This is the engine: a request, its body and the time go in, a reply
 * comes out; no socket, no thread, no clock. fake_aws_server.h puts it behind HTTP.
 *
 * The scenario's commands are described in README.md.
 */
#ifndef FAKES_FAKE_AWS_H
#define FAKES_FAKE_AWS_H

#include "fakes/fake_fault.h"
#include "fakes/fake_script.h"
#include "fakes/fake_streams.h"
#include "fakes/fake_table.h"

enum fake_aws_op {
    FAKE_AWS_DESCRIBE_STREAM,
    FAKE_AWS_GET_SHARD_ITERATOR,
    FAKE_AWS_GET_RECORDS,
    FAKE_AWS_CREATE_TABLE,
    FAKE_AWS_DESCRIBE_TABLE,
    FAKE_AWS_DELETE_TABLE,
    FAKE_AWS_PUT_ITEM,
    FAKE_AWS_UPDATE_ITEM,
    FAKE_AWS_DELETE_ITEM,
    FAKE_AWS_GET_ITEM,
    FAKE_AWS_SCAN,
    FAKE_AWS_PUT_METRIC_DATA,
    FAKE_AWS_OP_COUNT,
};

/* Kinds of struct fake_fault. */
enum fake_aws_fault {
    FAKE_AWS_FAULT_FAIL,        /* number: status; code; text: message */
    FAKE_AWS_FAULT_DELAY,       /* number: ms */
    FAKE_AWS_FAULT_CRC,         /* a wrong x-amz-crc32 */
    FAKE_AWS_FAULT_NO_CRC,      /* none */
    FAKE_AWS_FAULT_CUT,         /* number: bytes of the body, then the connection closes */
    FAKE_AWS_FAULT_DRIP,        /* number: bytes every 10 ms */
    FAKE_AWS_FAULT_LENGTH,      /* number: added to Content-Length */
    FAKE_AWS_FAULT_EMPTY,       /* number: status; no body */
    FAKE_AWS_FAULT_HTML,        /* a load balancer's 503 */
    FAKE_AWS_FAULT_DROP_BEFORE, /* the connection closes, nothing was done */
    FAKE_AWS_FAULT_DROP_AFTER,  /* it was done, and the connection closes: a lost reply */
};

enum { FAKE_AWS_KEYS = 8, FAKE_AWS_METRICS = 64 };

struct fake_aws_request {
    struct str target;        /* X-Amz-Target */
    struct str authorization; /* the headers of these names; {NULL, 0} when absent */
    struct str amz_date;
    struct str body;
    bool gzip; /* Accept-Encoding allows it */
};

struct fake_aws {
    struct fake_streams streams;
    struct fake_tables tables;
    struct fake_faults faults;
    uint64_t counts[FAKE_AWS_OP_COUNT]; /* calls, refused ones too */
    uint64_t rates[FAKE_AWS_OP_COUNT];  /* calls allowed in one second; 0: any */
    uint64_t in_second[FAKE_AWS_OP_COUNT];
    int64_t second[FAKE_AWS_OP_COUNT];
    char access_keys[FAKE_AWS_KEYS][64]; /* accepted; none: every request is */
    size_t access_key_count;
    int64_t skew_ms;       /* of the double's clock */
    uint64_t signature_ms; /* how far a signature's time may be off; 0: it is not looked at */
    bool gzip;
    char *metrics[FAKE_AWS_METRICS]; /* the last bodies of PutMetricData */
    uint64_t metric_count;           /* bodies in all */
};

void fake_aws_init(struct fake_aws *aws);
void fake_aws_done(struct fake_aws *aws);

/* Answers one call. reply was initialised by the caller, who also ends it. */
void fake_aws_handle(struct fake_aws *aws, const struct fake_aws_request *request, int64_t now_ms,
                     struct fake_reply *reply);

/* Runs scenario lines. */
bool fake_aws_script(struct fake_aws *aws, struct str lines, int64_t now_ms, struct err *err);
bool fake_aws_script_file(struct fake_aws *aws, const char *path, int64_t now_ms, struct err *err);

/* The op's name as in the API; static storage. */
const char *fake_aws_op_name(enum fake_aws_op op);
uint64_t fake_aws_count(const struct fake_aws *aws, enum fake_aws_op op);
/* {"DescribeStream":n,...} */
void fake_aws_counts_json(const struct fake_aws *aws, struct buf *out);
/* The last bodies of PutMetricData as a JSON array, oldest first. */
void fake_aws_metrics_json(const struct fake_aws *aws, struct buf *out);

#endif
