#include "recorder/cli/ls_json.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "recorder/base/clock.h"
#include "recorder/base/id.h"
#include "recorder/base/text.h"

#define REAL_DIGITS 15 /* microseconds of 31 years, without a binary tail */

/* "" is what is not known. A key may hold any bytes, JSON only Unicode. */
static json_t *text_or_null(const char *text)
{
    char escaped[4096];
    if (!*text)
        return json_null();
    if (text_is_utf8(text, strlen(text)))
        return json_string(text);
    text_escape(escaped, sizeof(escaped), text);
    return json_string(escaped);
}

static json_t *start(int64_t started_ns)
{
    char time[TEXT_TIME_SIZE];
    text_time(time, started_ns);
    return json_string(time);
}

static json_t *transfer_or_null(const struct manifest_transfer *transfer)
{
    if (!*transfer->protocol)
        return json_null();
    return json_pack("{s:o, s:b, s:b, s:I, s:I, s:I, s:I, s:I}", "protocol",
                     text_or_null(transfer->protocol), "contents", transfer->contents, "understood",
                     transfer->understood, "operations", (json_int_t)transfer->operations,
                     "put_files", (json_int_t)transfer->put_files, "put_bytes",
                     (json_int_t)transfer->put_bytes, "got_files", (json_int_t)transfer->got_files,
                     "got_bytes", (json_int_t)transfer->got_bytes);
}

static json_t *make_line(const char *key, const char *id, const char *socket, uint64_t size,
                         const struct manifest *manifest, const char *problem)
{
    json_t *line = json_pack("{s:s, s:o, s:o, s:o, s:I, s:b}", "id", id, "key", text_or_null(key),
                             "socket", text_or_null(manifest ? manifest->socket : socket),
                             "started", start(manifest ? manifest->started_ns : id_time_ns(id)),
                             "size", (json_int_t)size, "complete", manifest && !problem);
    if (!line)
        return NULL;
    static const struct manifest unknown = {.user = "",
                                            .target_user = "",
                                            .target_address = "",
                                            .client_address = "",
                                            .kind = "",
                                            .command = "",
                                            .end = "",
                                            .signal = "",
                                            .transfer = {.protocol = ""},
                                            .exit_status = -1};
    const struct manifest *m = manifest ? manifest : &unknown;
    int bad = json_object_set_new(line, "user", text_or_null(m->user));
    bad |= json_object_set_new(line, "duration",
                               manifest ? json_real((double)m->duration_ns / 1e9) : json_null());
    bad |= json_object_set_new(line, "exit_status",
                               m->exit_status >= 0 ? json_integer(m->exit_status) : json_null());
    bad |= json_object_set_new(line, "end", text_or_null(m->end));
    bad |= json_object_set_new(line, "signal", text_or_null(m->signal));
    bad |= json_object_set_new(line, "kind", text_or_null(m->kind));
    bad |= json_object_set_new(line, "command", text_or_null(m->command));
    bad |= json_object_set_new(line, "target_user", text_or_null(m->target_user));
    bad |= json_object_set_new(line, "target_address", text_or_null(m->target_address));
    bad |= json_object_set_new(line, "client_address", text_or_null(m->client_address));
    bad |= json_object_set_new(line, "transfer", transfer_or_null(&m->transfer));
    if (problem)
        bad |= json_object_set_new(line, "problem", text_or_null(problem));
    if (bad) {
        json_decref(line);
        return NULL;
    }
    return line;
}

int ls_json_print(FILE *to, const char *key, const char *id, const char *socket, uint64_t size,
                  const struct manifest *manifest, const char *problem, struct error *error)
{
    json_t *line = make_line(key, id, socket, size, manifest, problem);
    char *text = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS)) : NULL;
    int rc = text ? 0 : error_set(error, ERR_NO_MEMORY, "no memory to print %s", id);
    if (!rc && (fputs(text, to) < 0 || fputc('\n', to) < 0))
        rc = error_system(error, "cannot write to standard output");
    free(text);
    json_decref(line);
    return rc;
}
