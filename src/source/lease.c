#include "source/lease.h"

#include "base/json.h"
#include "source/shard_graph.h"

#include <inttypes.h>

/* The attribute's value under the type tag; NULL when the attribute is absent, and wrong set when it is of another
 * type. */
static const struct aws_json_value *typed(const struct aws_json_value *item, const char *name,
                                          const char *type, bool *ret_wrong) {
    const struct aws_json_value *attribute = json_get(item, name);
    const struct aws_json_value *value = json_get(attribute, type);
    *ret_wrong = attribute != NULL && value == NULL;
    return value;
}

static bool broken(struct err *err, const char *name) {
    return err_set(err, ERR_AWS_REPLY, "lease item: attribute %s is malformed", name);
}

/* Attribute of type S or N; STR_NONE when absent. */
static bool read_text(const struct aws_json_value *item, const char *name, const char *type,
                      struct str *ret, struct err *err) {
    const struct aws_json_value *attribute = json_get(item, name);
    *ret = json_str(attribute, type);
    return attribute == NULL || ret->ptr != NULL || broken(err, name);
}

static bool read_name(const struct aws_json_value *item, const char *name, char *to,
                      size_t capacity, struct err *err) {
    struct str text;
    return read_text(item, name, "S", &text, err) &&
           (str_copy(text, to, capacity) || broken(err, name));
}

static bool read_number(const struct aws_json_value *item, const char *name, uint64_t *ret,
                        struct err *err) {
    struct str text;
    *ret = 0;
    return read_text(item, name, "N", &text, err) &&
           (text.ptr == NULL || str_to_u64(text, ret) || broken(err, name));
}

static bool read_parent(const struct aws_json_value *item, struct lease *lease, struct err *err) {
    bool wrong = false;
    const struct aws_json_value *set = typed(item, "parentShardId", "SS", &wrong);
    if (set == NULL && !wrong) {
        return true;
    }
    struct aws_byte_cursor text;
    if (wrong || !aws_json_value_is_array(set) || aws_json_get_array_size(set) == 0 ||
        aws_json_value_get_string(aws_json_get_array_element(set, 0), &text) != AWS_OP_SUCCESS ||
        !str_copy(str_make((const char *)text.ptr, text.len), lease->parent,
                  sizeof lease->parent)) {
        return broken(err, "parentShardId");
    }
    return true;
}

static bool read_base(const struct aws_json_value *item, struct numbering_base *ret_base,
                      struct err *err) {
    struct str text;
    return read_text(item, "d2pBase", "S", &text, err) &&
           (text.ptr == NULL || numbering_base_parse(text, ret_base) || broken(err, "d2pBase"));
}

/* The checkpoint's id, if it is this checkpoint's. */
static bool read_id(const struct aws_json_value *item, struct position *checkpoint,
                    struct err *err) {
    struct str text;
    struct seqno seqno;
    if (!read_text(item, "d2pPos", "S", &text, err)) {
        return false;
    }
    const char *space = text.len > 0 ? memchr(text.ptr, ' ', text.len) : NULL;
    if (space == NULL) {
        return text.ptr == NULL || broken(err, "d2pPos");
    }
    size_t len = (size_t)(space - text.ptr);
    uint64_t id = 0;
    if (!seqno_parse(str_make(text.ptr, len), &seqno) ||
        !str_to_u64(str_make(space + 1, text.len - len - 1), &id) || id > INT64_MAX) {
        return broken(err, "d2pPos");
    }
    checkpoint->numbered = checkpoint->kind == POSITION_SEQUENCE_NUMBER &&
                           seqno_compare(&checkpoint->seqno, &seqno) == 0;
    checkpoint->id = checkpoint->numbered ? id : 0;
    return true;
}

static bool is_lease(const struct aws_json_value *item) {
    const struct aws_json_value *entity = json_get(item, "entityType");
    if (entity != NULL && !str_is(json_str(entity, "S"), "LEASE")) {
        return false; /* KCL 3 keeps rows of other kinds in the same table */
    }
    return json_get(item, "leaseCounter") != NULL && json_get(item, "checkpoint") != NULL;
}

struct str lease_item_stream(const struct aws_json_value *item) {
    return json_str(json_get(item, "d2pStream"), "S");
}

static bool read_stream(const struct aws_json_value *item, struct str stream_arn,
                        enum lease_stream *ret_stream, struct err *err) {
    struct str stream;
    if (!read_text(item, "d2pStream", "S", &stream, err)) {
        return false;
    }
    *ret_stream = stream.len == 0                 ? LEASE_STREAM_NONE
                  : str_equal(stream, stream_arn) ? LEASE_STREAM_OURS
                                                  : LEASE_STREAM_OTHER;
    return true;
}

enum lease_item lease_from_item(const struct aws_json_value *item, struct str stream_arn,
                                struct lease *ret_lease, struct err *err) {
    *ret_lease = (struct lease){.counter = 0};
    if (!aws_json_value_is_object(item) || !is_lease(item)) {
        return LEASE_ITEM_OTHER;
    }
    struct str checkpoint;
    uint64_t start = 0;
    uint64_t read = 0;
    if (!read_name(item, "leaseKey", ret_lease->key, sizeof ret_lease->key, err)) {
        return LEASE_ITEM_BROKEN;
    }
    if (ret_lease->key[0] == '\0') {
        broken(err, "leaseKey");
        return LEASE_ITEM_BROKEN;
    }
    bool fine =
        read_name(item, "leaseOwner", ret_lease->owner, sizeof ret_lease->owner, err) &&
        read_number(item, "leaseCounter", &ret_lease->counter, err) &&
        read_number(item, "ownerSwitchesSinceCheckpoint", &ret_lease->owner_switches, err) &&
        read_text(item, "checkpoint", "S", &checkpoint, err) &&
        (position_parse(checkpoint, &ret_lease->checkpoint) || broken(err, "checkpoint")) &&
        read_parent(item, ret_lease, err) &&
        read_name(item, "d2pWantedBy", ret_lease->wanted_by, sizeof ret_lease->wanted_by, err) &&
        read_stream(item, stream_arn, &ret_lease->stream, err) &&
        read_number(item, "d2pStart", &start, err) &&
        (start <= INT64_MAX || broken(err, "d2pStart")) &&
        read_number(item, "d2pRead", &read, err) && (read <= INT64_MAX || broken(err, "d2pRead")) &&
        read_base(item, &ret_lease->base, err) && read_id(item, &ret_lease->checkpoint, err);
    if (!fine) {
        err_context(err, "lease %s", ret_lease->key);
        return LEASE_ITEM_BROKEN;
    }
    ret_lease->start_ms = (int64_t)start;
    ret_lease->read_ms = (int64_t)read;
    return LEASE_ITEM_OK;
}

int64_t lease_unread_since_ms(const struct lease *lease, int64_t now_ms) {
    /* No shard is listed for so long: an id that tells an older time means something else. */
    static const int64_t LISTED_MS = INT64_C(4) * SHARD_RETENTION_MS;
    int64_t since_ms = lease->read_ms > lease->start_ms ? lease->read_ms : lease->start_ms;
    int64_t created_ms;
    bool dated = now_ms > 0 && shard_id_created_ms(str_of(lease->key), &created_ms) &&
                 now_ms - created_ms < LISTED_MS;
    return dated && created_ms > since_ms ? created_ms : since_ms;
}

void lease_write_init(struct lease_write *write) {
    *write = (struct lease_write){.key_json = STR_NONE};
    buf_init(&write->buf, BUF_MAX_REQUEST);
}

void lease_write_done(struct lease_write *write) {
    buf_done(&write->buf);
}

/* Every attribute goes by a placeholder, so that no reserved word can ever matter. A request may only declare those
 * that it uses. */
#define NAME_COUNTER "\"#counter\":\"leaseCounter\""
#define NAME_OWNER ",\"#owner\":\"leaseOwner\""
#define NAME_WANTED ",\"#wanted\":\"d2pWantedBy\""
#define NAME_SWITCHES ",\"#switches\":\"ownerSwitchesSinceCheckpoint\""
#define NAMES_CHECKPOINT                                                                           \
    NAME_SWITCHES ",\"#checkpoint\":\"checkpoint\",\"#sub\":\"checkpointSubSequenceNumber\""       \
                  ",\"#pending\":\"pendingCheckpoint\""                                            \
                  ",\"#pendingSub\":\"pendingCheckpointSubSequenceNumber\""
#define NAME_POS ",\"#pos\":\"d2pPos\""
#define NAME_BASE ",\"#base\":\"d2pBase\""
#define SET_POS ", #pos = :pos"
#define NAME_READ ",\"#read\":\"d2pRead\""
#define SET_READ ", #read = :read"
#define SET_COUNTER "SET #counter = :new"
#define SET_CHECKPOINT ", #checkpoint = :checkpoint, #sub = :zero, #switches = :zero"
#define REMOVE_PENDING " REMOVE #pending, #pendingSub"
/* Of a write with a checkpoint: more to set, more to remove, more names. */
#define UPDATE_CHECKPOINT(checkpoint, set, remove)                                                 \
    ((checkpoint)->numbered ? STR(SET_COUNTER SET_CHECKPOINT SET_POS set REMOVE_PENDING remove)    \
                            : STR(SET_COUNTER SET_CHECKPOINT set REMOVE_PENDING remove))
#define NAMES_OF_CHECKPOINT(checkpoint, more)                                                      \
    ((checkpoint)->numbered ? STR("{" NAME_COUNTER NAMES_CHECKPOINT NAME_POS more "}")             \
                            : STR("{" NAME_COUNTER NAMES_CHECKPOINT more "}"))
#define IF_COUNTER "#counter = :old"
#define IF_NOT_ENDED " AND #checkpoint <> :end"
#define IF_WANTED " AND #wanted = :to"

/* Starts a request: the buffer holds the key, then (behind *ret_values) the values, so far the counter's. */
static void start(struct lease_write *write, const struct lease *lease, size_t *ret_values) {
    struct buf *buf = &write->buf;
    buf_reset(buf);
    write->expression = (struct table_expression){.return_old_on_failure = true};
    buf_add_text(buf, "{\"leaseKey\":{\"S\":");
    buf_add_json_string(buf, str_of(lease->key));
    buf_add_text(buf, "}}");
    *ret_values = buf->len;
    buf_add_format(buf, "{\":old\":{\"N\":\"%" PRIu64 "\"},\":new\":{\"N\":\"%" PRIu64 "\"}",
                   lease->counter, lease->counter + 1);
}

static bool check(const struct lease_write *write, const struct lease *lease, struct err *err) {
    return !write->buf.failed ||
           err_set(err, ERR_INTERNAL, "the request for lease %s does not fit", lease->key);
}

/* Ends the values and points to the texts, now that the buffer does not move any more. */
static bool finish(struct lease_write *write, const struct lease *lease, size_t values,
                   struct err *err) {
    buf_add_char(&write->buf, '}');
    if (!check(write, lease, err)) {
        return false;
    }
    struct str all = buf_str(&write->buf);
    write->key_json = str_make(all.ptr, values);
    write->expression.values_json = str_make(all.ptr + values, all.len - values);
    return true;
}

static void add_position(struct buf *buf, const struct position *position) {
    char text[SEQNO_MAX_DIGITS + 1];
    (void)position_format(position, text);
    buf_add_format(buf, "{\"S\":\"%s\"}", text);
}

static void add_checkpoint_values(struct lease_write *write, const struct position *checkpoint) {
    buf_add_text(&write->buf, ",\":checkpoint\":");
    add_position(&write->buf, checkpoint);
    buf_add_text(&write->buf, ",\":zero\":{\"N\":\"0\"}");
    if (checkpoint->kind != POSITION_SHARD_END) {
        buf_add_text(&write->buf, ",\":end\":{\"S\":\"SHARD_END\"}");
    }
    if (checkpoint->numbered) {
        char text[SEQNO_MAX_DIGITS + 1];
        (void)position_format(checkpoint, text);
        buf_add_format(&write->buf, ",\":pos\":{\"S\":\"%s %" PRIu64 "\"}", text, checkpoint->id);
    }
}

/* The end of a shard is final: nothing but itself may be written over it. */
static struct str checkpoint_condition(const struct position *checkpoint) {
    return checkpoint->kind == POSITION_SHARD_END ? STR(IF_COUNTER) : STR(IF_COUNTER IF_NOT_ENDED);
}

bool lease_write_create(struct lease_write *write, const struct lease *lease, struct str stream_arn,
                        struct err *err) {
    struct buf *buf = &write->buf;
    buf_reset(buf);
    buf_add_text(buf, "{\"leaseKey\":{\"S\":");
    buf_add_json_string(buf, str_of(lease->key));
    buf_add_text(buf, "},\"leaseCounter\":{\"N\":\"0\"}"
                      ",\"ownerSwitchesSinceCheckpoint\":{\"N\":\"0\"},\"checkpoint\":");
    add_position(buf, &lease->checkpoint);
    buf_add_text(buf, ",\"checkpointSubSequenceNumber\":{\"N\":\"0\"}");
    if (lease->parent[0] !=
        '\0') { /* neither an empty set nor an empty string: KCL cannot read them */
        buf_add_text(buf, ",\"parentShardId\":{\"SS\":[");
        buf_add_json_string(buf, str_of(lease->parent));
        buf_add_text(buf, "]}");
    }
    buf_add_text(buf, ",\"d2pStream\":{\"S\":");
    buf_add_json_string(buf, stream_arn);
    buf_add_char(buf, '}');
    if (lease->start_ms != 0) {
        buf_add_format(buf, ",\"d2pStart\":{\"N\":\"%" PRId64 "\"}", lease->start_ms);
    }
    if (lease->read_ms != 0) {
        buf_add_format(buf, ",\"d2pRead\":{\"N\":\"%" PRId64 "\"}", lease->read_ms);
    }
    buf_add_char(buf, '}');
    if (!check(write, lease, err)) {
        return false;
    }
    write->key_json = buf_str(buf);
    write->expression = (struct table_expression){
        .condition = STR("attribute_not_exists(#key)"),
        .names_json = STR("{\"#key\":\"leaseKey\"}"),
        .return_old_on_failure = true,
    };
    return true;
}

static void add_value(struct lease_write *write, const char *name, struct str text) {
    buf_add_format(&write->buf, ",\"%s\":{\"S\":", name);
    buf_add_json_string(&write->buf, text);
    buf_add_char(&write->buf, '}');
}

bool lease_write_take(struct lease_write *write, const struct lease *lease, struct str me,
                      struct err *err) {
    bool switched = lease->owner[0] != '\0' && !str_is(me, lease->owner);
    size_t values;
    start(write, lease, &values);
    add_value(write, ":me", me);
    write->expression.condition = STR(IF_COUNTER);
    if (switched) {
        buf_add_text(&write->buf, ",\":one\":{\"N\":\"1\"}");
        write->expression.update =
            STR(SET_COUNTER ", #owner = :me REMOVE #wanted ADD #switches :one");
        write->expression.names_json =
            STR("{" NAME_COUNTER NAME_OWNER NAME_WANTED NAME_SWITCHES "}");
    } else {
        write->expression.update = STR(SET_COUNTER ", #owner = :me REMOVE #wanted");
        write->expression.names_json = STR("{" NAME_COUNTER NAME_OWNER NAME_WANTED "}");
    }
    return finish(write, lease, values, err);
}

static void add_time(struct lease_write *write, const char *name, int64_t ms) {
    buf_add_format(&write->buf, ",\"%s\":{\"N\":\"%" PRId64 "\"}", name, ms);
}

bool lease_write_renew(struct lease_write *write, const struct lease *lease, struct err *err) {
    size_t values;
    start(write, lease, &values);
    write->expression.condition = STR(IF_COUNTER);
    write->expression.update = STR(SET_COUNTER);
    write->expression.return_new = true; /* d2pWantedBy may have come */
    write->expression.names_json = STR("{" NAME_COUNTER "}");
    if (lease->read_ms != 0 && lease->checkpoint.kind != POSITION_SEQUENCE_NUMBER) {
        add_time(write, ":read", lease->read_ms);
        write->expression.update = STR(SET_COUNTER SET_READ);
        write->expression.names_json = STR("{" NAME_COUNTER NAME_READ "}");
    }
    return finish(write, lease, values, err);
}

bool lease_write_checkpoint(struct lease_write *write, const struct lease *lease,
                            const struct position *checkpoint, struct err *err) {
    size_t values;
    start(write, lease, &values);
    add_checkpoint_values(write, checkpoint);
    write->expression.condition = checkpoint_condition(checkpoint);
    write->expression.return_new = true; /* d2pWantedBy may have come */
    write->expression.update = UPDATE_CHECKPOINT(checkpoint, "", "");
    write->expression.names_json = NAMES_OF_CHECKPOINT(checkpoint, "");
    return finish(write, lease, values, err);
}

bool lease_write_base(struct lease_write *write, const struct lease *lease,
                      const struct numbering_base *base, struct err *err) {
    char text[NUMBERING_BASE_TEXT_MAX];
    size_t values;
    start(write, lease, &values);
    (void)numbering_base_format(base, text);
    add_value(write, ":base", str_of(text));
    write->expression.condition = STR(IF_COUNTER);
    write->expression.update = STR(SET_COUNTER ", #base = :base");
    write->expression.return_new = true; /* d2pWantedBy may have come */
    write->expression.names_json = STR("{" NAME_COUNTER NAME_BASE "}");
    return finish(write, lease, values, err);
}

bool lease_write_release(struct lease_write *write, const struct lease *lease,
                         const struct position *checkpoint, struct err *err) {
    size_t values;
    start(write, lease, &values);
    if (checkpoint != NULL) {
        add_checkpoint_values(write, checkpoint);
        write->expression.condition = checkpoint_condition(checkpoint);
        write->expression.update = UPDATE_CHECKPOINT(checkpoint, "", ", #owner, #wanted");
        write->expression.names_json = NAMES_OF_CHECKPOINT(checkpoint, NAME_OWNER NAME_WANTED);
    } else {
        write->expression.condition = STR(IF_COUNTER);
        write->expression.update = STR(SET_COUNTER " REMOVE #owner, #wanted");
        write->expression.names_json = STR("{" NAME_COUNTER NAME_OWNER NAME_WANTED "}");
    }
    return finish(write, lease, values, err);
}

bool lease_write_hand_over(struct lease_write *write, const struct lease *lease, struct str to,
                           const struct position *checkpoint, struct err *err) {
    size_t values;
    start(write, lease, &values);
    add_value(write, ":to", to);
    if (checkpoint != NULL) {
        add_checkpoint_values(write, checkpoint);
        write->expression.condition = STR(IF_COUNTER IF_NOT_ENDED IF_WANTED);
        write->expression.update = UPDATE_CHECKPOINT(checkpoint, ", #owner = :to", ", #wanted");
        write->expression.names_json = NAMES_OF_CHECKPOINT(checkpoint, NAME_OWNER NAME_WANTED);
    } else {
        buf_add_text(&write->buf, ",\":one\":{\"N\":\"1\"}");
        write->expression.condition = STR(IF_COUNTER IF_WANTED);
        write->expression.update =
            STR(SET_COUNTER ", #owner = :to REMOVE #wanted ADD #switches :one");
        write->expression.names_json =
            STR("{" NAME_COUNTER NAME_OWNER NAME_WANTED NAME_SWITCHES "}");
    }
    return finish(write, lease, values, err);
}

bool lease_write_reset(struct lease_write *write, const struct lease *lease,
                       const struct lease_place *place, struct err *err) {
    char text[SEQNO_MAX_DIGITS + 1];
    size_t values;
    start(write, lease, &values);
    (void)position_format(&place->checkpoint, text);
    add_value(write, ":checkpoint", str_of(text));
    add_time(write, ":read", place->read_ms);
    buf_add_text(&write->buf, ",\":zero\":{\"N\":\"0\"}");
    write->expression.condition = STR(IF_COUNTER);
    write->expression.names_json =
        STR("{" NAME_COUNTER NAMES_CHECKPOINT NAME_OWNER NAME_WANTED NAME_BASE NAME_POS NAME_READ
            ",\"#start\":\"d2pStart\"}");
    if (place->start_ms != 0) {
        add_time(write, ":start", place->start_ms);
        write->expression.update =
            STR(SET_COUNTER SET_CHECKPOINT SET_READ ", #start = :start" REMOVE_PENDING
                                                    ", #owner, #wanted, #base, #pos");
    } else {
        write->expression.update = STR(SET_COUNTER SET_CHECKPOINT SET_READ REMOVE_PENDING
                                       ", #owner, #wanted, #base, #pos, #start");
    }
    return finish(write, lease, values, err);
}

bool lease_write_want(struct lease_write *write, const struct lease *lease, struct str me,
                      struct err *err) {
    bool ok = lease_write_key(write, lease, err);
    size_t values = write->buf.len;
    buf_add_char(&write->buf, '{');
    buf_add_text(&write->buf, "\":owner\":{\"S\":");
    buf_add_json_string(&write->buf, str_of(lease->owner));
    buf_add_char(&write->buf, '}');
    add_value(write, ":me", me);
    write->expression = (struct table_expression){
        .condition = STR("#owner = :owner"),
        .update = STR("SET #wanted = :me"),
        .names_json = STR("{\"#owner\":\"leaseOwner\"" NAME_WANTED "}"),
        .return_old_on_failure = true,
    };
    return ok && finish(write, lease, values, err);
}

bool lease_write_unwant(struct lease_write *write, const struct lease *lease, struct str me,
                        struct err *err) {
    bool ok = lease_write_key(write, lease, err);
    size_t values = write->buf.len;
    buf_add_text(&write->buf, "{\":me\":{\"S\":");
    buf_add_json_string(&write->buf, me);
    buf_add_char(&write->buf, '}');
    write->expression = (struct table_expression){
        .condition = STR("#wanted = :me"),
        .update = STR("REMOVE #wanted"),
        .names_json = STR("{\"#wanted\":\"d2pWantedBy\"}"),
        .return_old_on_failure = true,
    };
    return ok && finish(write, lease, values, err);
}

bool lease_write_delete(struct lease_write *write, const struct lease *lease, struct err *err) {
    bool ok = lease_write_key(write, lease, err);
    size_t values = write->buf.len;
    buf_add_format(&write->buf, "{\":old\":{\"N\":\"%" PRIu64 "\"}", lease->counter);
    write->expression = (struct table_expression){
        .condition = STR(IF_COUNTER),
        .names_json = STR("{" NAME_COUNTER "}"),
    };
    return ok && finish(write, lease, values, err);
}

bool lease_write_key(struct lease_write *write, const struct lease *lease, struct err *err) {
    struct buf *buf = &write->buf;
    buf_reset(buf);
    buf_add_text(buf, "{\"leaseKey\":{\"S\":");
    buf_add_json_string(buf, str_of(lease->key));
    buf_add_text(buf, "}}");
    write->expression = (struct table_expression){.condition = STR_NONE};
    write->key_json = buf_str(buf);
    return check(write, lease, err);
}
