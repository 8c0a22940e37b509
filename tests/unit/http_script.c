#include "http_script.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_BYTES = 64 * 1024 * 1024 };

struct http_step *http_script_add_raw(struct http_script *script, const char *reply) {
    assert(script->step_count < HTTP_SCRIPT_MAX);
    struct http_step *step = &script->steps[script->step_count++];
    buf_init(&step->reply, MAX_BYTES);
    buf_add_text(&step->reply, reply);
    return step;
}

struct http_step *http_script_add(struct http_script *script, int status, const char *headers,
                                  const char *body) {
    struct http_step *step = http_script_add_raw(script, "");
    buf_add_format(&step->reply, "HTTP/1.1 %d X\r\n%sContent-Length: %zu\r\n\r\n%s", status,
                   headers, strlen(body), body);
    assert(!step->reply.failed);
    return step;
}

/* Reads one request; NULL when the connection ends. */
static char *read_request(int fd) {
    struct buf text;
    buf_init(&text, MAX_BYTES);
    for (;;) {
        const char *all = buf_text(&text);
        const char *end = strstr(all, "\r\n\r\n");
        const char *length = strcasestr(all, "\r\nContent-Length: ");
        if (end != NULL && length != NULL &&
            text.len >= (size_t)(end + 4 - all) + strtoul(length + 18, NULL, 10)) {
            char *request = str_dup(buf_str(&text));
            buf_done(&text);
            return request;
        }
        char *room = buf_reserve(&text, 4096);
        ssize_t len = recv(fd, room, 4096, 0);
        if (len <= 0) {
            buf_done(&text);
            return NULL;
        }
        text.len += (size_t)len;
    }
}

static void send_all(int fd, struct str bytes) {
    while (bytes.len > 0) {
        ssize_t len = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (len <= 0) {
            return; /* the client has had enough */
        }
        bytes = str_make(bytes.ptr + len, bytes.len - (size_t)len);
    }
}

static void serve(struct http_script *script, int fd) {
    char *request;
    while ((request = read_request(fd)) != NULL) {
        size_t index = atomic_load(&script->request_count);
        if (index >= script->step_count) {
            free(request);
            return; /* the test counts too: closing makes it fail */
        }
        script->requests[index] = request;
        atomic_store(&script->request_count, index + 1);
        struct http_step *step = &script->steps[index];
        send_all(fd, buf_str(&step->reply));
        if (step->hold) {
            char byte;
            while (recv(fd, &byte, 1, 0) > 0) {
            }
            return;
        }
        if (step->close_after) {
            return;
        }
    }
}

static void *thread_main(void *arg) {
    struct http_script *script = arg;
    while (!atomic_load(&script->stop)) {
        int fd = accept(script->listener, NULL, NULL);
        if (fd < 0) {
            break;
        }
        atomic_store(&script->connection, fd);
        if (!atomic_load(&script->stop)) {
            serve(script, fd);
        }
        atomic_store(&script->connection, -1);
        close(fd);
    }
    return NULL;
}

void http_script_start(struct http_script *script) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    script->listener = socket(AF_INET, SOCK_STREAM, 0);
    int result = bind(script->listener, (struct sockaddr *)&address, len);
    assert(result == 0);
    result = listen(script->listener, 16);
    assert(result == 0);
    result = getsockname(script->listener, (struct sockaddr *)&address, &len);
    assert(result == 0);
    (void)result;
    script->port = ntohs(address.sin_port);
    atomic_store(&script->connection, -1);
    result = pthread_create(&script->thread, NULL, thread_main, script);
    assert(result == 0);
}

void http_script_stop(struct http_script *script) {
    atomic_store(&script->stop, true);
    shutdown(script->listener, SHUT_RDWR);
    int fd = atomic_load(&script->connection);
    if (fd >= 0) {
        shutdown(fd, SHUT_RDWR);
    }
    pthread_join(script->thread, NULL);
    close(script->listener);
    for (size_t i = 0; i < script->step_count; i++) {
        buf_done(&script->steps[i].reply);
    }
    for (size_t i = 0; i < atomic_load(&script->request_count); i++) {
        free(script->requests[i]);
    }
}
