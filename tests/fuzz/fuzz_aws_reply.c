/*
 * fuzz_aws_reply: what AWS answers when it is no page: errors of any service, and the keys of a role.
 *
 * Input: a byte for the status, then the body.
 */
#include "aws/reply_error.h"
#include "aws/sts.h"
#include "fuzz/fuzz.h"

#include <aws/auth/auth.h>
#include <aws/auth/credentials.h>

static void check_err(const struct err *err) {
    assert(err_is_set(err));
    fuzz_check_line(err->text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static bool ready = false;
    if (!ready) {
        aws_auth_library_init(aws_default_allocator());
        ready = true;
    }
    static const int statuses[] = {400, 403, 404, 413, 429, 500, 503, 301};
    struct str input = fuzz_input(data, size);
    int status = statuses[fuzz_take_byte(&input) % (sizeof statuses / sizeof statuses[0])];
    char *body = fuzz_copy(input);
    struct err err = ERR_NONE;
    (void)reply_error(status, STR(""), str_make(body, input.len), &err);
    check_err(&err);
    err = ERR_NONE;
    struct aws_credentials *keys = sts_read(str_make(body, input.len), &err);
    if (keys == NULL) {
        check_err(&err);
    } else {
        assert(!err_is_set(&err));
        aws_credentials_release(keys);
    }
    free(body);
    return 0;
}
