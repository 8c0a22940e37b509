#include "cli/worker_id.h"

#include "base/buf.h"
#include "base/log.h"

#include <aws/common/byte_buf.h>
#include <aws/common/uuid.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { UUID_LEN = 36, PATH_MAX_BYTES = 4096 };

/* mkdir -p; path is changed and restored on the way. */
static bool make_directories(char *path) {
    for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash != NULL) {
            *slash = '\0';
        }
        bool made = mkdir(path, 0700) == 0 || errno == EEXIST;
        if (slash == NULL) {
            return made;
        }
        *slash = '/';
        if (!made) {
            return false;
        }
    }
}

static bool is_uuid(const char *text) {
    for (size_t i = 0; i < UUID_LEN; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        char c = text[i];
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (dash ? c != '-' : !hex) {
            return false;
        }
    }
    return true;
}

/* Opens and locks the file; its UUID, if it has one. The reason in `why` when there is no lock. */
static int lock_file(struct str directory, struct str application, char uuid[UUID_LEN + 1],
                     const char **why) {
    struct buf path;
    buf_init(&path, PATH_MAX_BYTES);
    int fd = -1;
    buf_add_str(&path, directory);
    buf_add_char(&path, '\0');
    if (directory.len == 0) {
        *why = "no state folder: set stateDirectory";
    } else if (path.failed || !make_directories(path.data)) {
        *why = path.failed ? "the path is too long" : strerror(errno);
    } else {
        path.len--; /* the NUL */
        buf_add_format(&path, "/%.*s.worker", STR_FMT(application));
        fd = open(buf_text(&path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0) {
            *why = strerror(errno);
        } else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            *why = "another process holds the lock";
            close(fd);
            fd = -1;
        }
    }
    buf_done(&path);
    if (fd >= 0) {
        ssize_t got = pread(fd, uuid, UUID_LEN, 0);
        uuid[got == UUID_LEN && is_uuid(uuid) ? UUID_LEN : 0] = '\0';
    }
    return fd;
}

static bool fresh_uuid(char to[UUID_LEN + 1], struct err *err) {
    struct aws_uuid uuid;
    struct aws_byte_buf text = aws_byte_buf_from_empty_array(to, UUID_LEN + 1);
    if (aws_uuid_init(&uuid) != AWS_OP_SUCCESS || aws_uuid_to_str(&uuid, &text) != AWS_OP_SUCCESS) {
        return err_set(err, ERR_INTERNAL, "cannot make a UUID");
    }
    return true;
}

bool worker_id_open(struct worker_id *id, struct str state_directory, struct str application,
                    struct err *err) {
    char uuid[UUID_LEN + 1] = "";
    const char *why = NULL;
    *id = (struct worker_id){.fd = lock_file(state_directory, application, uuid, &why)};
    if (id->fd < 0) {
        LOG_WARN("lease", "worker-id-not-kept", LOG_TEXT("reason", why),
                 LOG_TEXT("text", "a restart waits failoverTime for its own leases"));
    }
    id->kept = uuid[0] != '\0';
    if (!id->kept) {
        if (!fresh_uuid(uuid, err)) {
            worker_id_close(id);
            return false;
        }
        if (id->fd >= 0 && (pwrite(id->fd, uuid, UUID_LEN, 0) != UUID_LEN || fsync(id->fd) != 0)) {
            LOG_WARN("lease", "worker-id-not-kept", LOG_TEXT("reason", strerror(errno)));
        }
    }
    char host[128] = "localhost";
    (void)gethostname(host, sizeof host - 1); /* the default serves as well */
    (void)snprintf(id->text, sizeof id->text, "%s:%s", host, uuid);
    return true;
}

void worker_id_close(struct worker_id *id) {
    if (id->fd >= 0) {
        close(id->fd);
        id->fd = -1;
    }
}
