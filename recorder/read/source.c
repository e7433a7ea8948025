#include "recorder/read/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The first stretch is small, so that a replay starts at once; then they double, so that a copy is
 * not slowed down by one round trip for each. */
#define FIRST_STRETCH ((uint64_t)128 << 10)
#define LAST_STRETCH ((uint64_t)4 << 20)
#define ATTEMPTS 5
#define FIRST_WAIT_MS 200
#define FILE_PIECE ((size_t)64 << 10)

static void wait_before_attempt(int attempt)
{
    long ms = FIRST_WAIT_MS << attempt;
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&left, &left) && errno == EINTR)
        ;
}

static int pass(const struct recording_source *source,
                int (*sink)(void *context, const void *data, size_t length), void *context,
                const void *data, size_t length, struct error *error)
{
    if (source->digest && sha256_update(source->digest, data, length))
        return error_set(error, ERR_NO_MEMORY, "no memory to compute a checksum");
    if (source->size)
        *source->size += length;
    return sink(context, data, length);
}

static int read_file(const struct recording_source *source,
                     int (*sink)(void *context, const void *data, size_t length), void *context,
                     struct error *error)
{
    char *piece = malloc(FILE_PIECE);
    if (!piece)
        return error_set(error, ERR_NO_MEMORY, "no memory to read %s", source->path);
    int rc = 0;
    int fd = open(source->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        rc = error_system(error, "cannot open %s", source->path);
        goto out;
    }
    for (;;) {
        ssize_t got = read(fd, piece, FILE_PIECE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            rc = error_system(error, "cannot read %s", source->path);
        if (got <= 0)
            break;
        rc = pass(source, sink, context, piece, (size_t)got, error);
        if (rc)
            break;
    }
    close(fd);
out:
    free(piece);
    return rc;
}

struct lookup {
    const char *key;
    uint64_t size;
    bool found;
};

static int look(void *context, const char *key, uint64_t size)
{
    struct lookup *lookup = context;
    if (strcmp(key, lookup->key) != 0)
        return 1; /* the key itself sorts before all that it is a prefix of */
    lookup->size = size;
    lookup->found = true;
    return 1;
}

static int object_size(const struct recording_source *source, uint64_t *size, struct error *error)
{
    for (int attempt = 0;; attempt++) {
        struct lookup lookup = {.key = source->key};
        struct error why = ERROR_INIT;
        int rc = store_list(source->store, source->key, look, &lookup, &why);
        if (lookup.found) {
            *size = lookup.size;
            return 0;
        }
        if (rc >= 0)
            return error_set(error, ERR_NOT_FOUND, "%s%s is not there", store_url(source->store),
                             source->key);
        if (rc != ERR_RETRY || attempt + 1 == ATTEMPTS) {
            if (error)
                *error = why;
            return rc;
        }
        wait_before_attempt(attempt);
    }
}

/* Runs on the store's thread and must not block: only gathers. */
static int gather(void *context, const void *data, size_t length)
{
    return buffer_append(context, data, length);
}

/* Fills `buffer` with [offset, offset + want); goes on from where an attempt broke off. */
static int read_stretch(const struct recording_source *source, uint64_t offset, uint64_t want,
                        struct buffer *buffer, struct error *error)
{
    for (int attempt = 0; buffer->length < want; attempt++) {
        size_t before = buffer->length;
        struct error why = ERROR_INIT;
        buffer->limit = (size_t)want;
        int rc = store_get(source->store, source->key, offset + before, want - before, gather,
                           buffer, &why);
        if (rc == ERR_LIMIT)
            return error_set(error, ERR_DAMAGED, "%s%s: the store sent more than was asked for",
                             store_url(source->store), source->key);
        if (rc == 0 && buffer->length < want)
            rc = error_set(&why, ERR_RETRY, "%s%s: the store sent less than was asked for",
                           store_url(source->store), source->key);
        if (rc == 0)
            return 0;
        if (buffer->length > before)
            attempt = 0;
        if (rc != ERR_RETRY || attempt + 1 >= ATTEMPTS) {
            if (error)
                *error = why;
            return rc;
        }
        wait_before_attempt(attempt);
    }
    return 0;
}

static int read_object(const struct recording_source *source,
                       int (*sink)(void *context, const void *data, size_t length), void *context,
                       struct error *error)
{
    uint64_t size, stretch = FIRST_STRETCH;
    int rc = object_size(source, &size, error);
    if (rc)
        return rc;
    struct buffer buffer = BUFFER_INIT((size_t)LAST_STRETCH);
    for (uint64_t offset = 0; offset < size; offset += buffer.length) {
        buffer_clear(&buffer);
        rc = read_stretch(source, offset, size - offset < stretch ? size - offset : stretch,
                          &buffer, error);
        if (rc)
            break;
        rc = pass(source, sink, context, buffer.data, buffer.length, error);
        if (rc)
            break;
        if (stretch < LAST_STRETCH)
            stretch *= 2;
    }
    buffer_free(&buffer);
    return rc;
}

int recording_size(const struct recording_source *source, uint64_t *size, struct error *error)
{
    struct stat info;
    if (source->store)
        return object_size(source, size, error);
    if (stat(source->path, &info))
        return error_system(error, "cannot look at %s", source->path);
    *size = (uint64_t)info.st_size;
    return 0;
}

int source_read(const struct recording_source *source,
                int (*sink)(void *context, const void *data, size_t length), void *context,
                struct error *error)
{
    return source->store ? read_object(source, sink, context, error)
                         : read_file(source, sink, context, error);
}

int source_read_object(struct store *store, const char *key, struct buffer *buffer,
                       struct error *error)
{
    for (int attempt = 0;; attempt++) {
        struct error why = ERROR_INIT;
        buffer_clear(buffer);
        int rc = store_get(store, key, 0, 0, gather, buffer, &why);
        if (rc == 0)
            return 0;
        if (rc == ERR_LIMIT)
            return error_set(error, rc, "%s%s is larger than %zu bytes", store_url(store), key,
                             buffer->limit);
        if (rc != ERR_RETRY || attempt + 1 == ATTEMPTS) {
            if (error)
                *error = why;
            return rc;
        }
        wait_before_attempt(attempt);
    }
}

int recording_copy(const struct recording_source *source,
                   int (*sink)(void *context, const void *data, size_t length), void *context,
                   struct error *error)
{
    return source_read(source, sink, context, error);
}
