#include "recorder/service/status.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/base/file.h"
#include "recorder/base/log.h"
#include "recorder/base/text.h"

static int append_error(struct buffer *out, const char *name, const char *text)
{
    if (!text[0])
        return 0;
    char clean[1024];
    text_escape(clean, sizeof(clean), text);
    json_t *json = json_string(clean);
    char *encoded = json ? json_dumps(json, JSON_ENCODE_ANY) : NULL;
    int rc = encoded ? buffer_printf(out, "\"%s\":%s,", name, encoded) : ERR_NO_MEMORY;
    free(encoded);
    json_decref(json);
    return rc;
}

/* All but the time and the closing brace. */
static int describe(struct buffer *out, const struct status_facts *facts)
{
    int rc = buffer_printf(out, "{\"version\":1,\"state\":\"%s\",\"pid\":%ld,\"sessions\":%zu,",
                           facts->running ? "running" : "stopped", (long)getpid(), facts->sessions);
    if (!rc && facts->quota->bytes)
        rc = buffer_printf(out, "\"spool\":{\"quota_bytes\":%llu,\"used_percent\":%u},",
                           (unsigned long long)facts->quota->bytes, facts->quota->percent);
    if (!rc)
        rc = append_error(out, "sealing_error", facts->sealing_error);
    if (!rc)
        rc = append_error(out, "settings_error", facts->settings_error);
    if (!rc)
        rc = buffer_append_text(out, "\"organizations\":");
    if (!rc)
        rc = uploader_status(facts->uploader, out, NULL);
    return rc;
}

void status_write(struct status *status, const struct spool *spool, const struct clock *clock,
                  const struct status_facts *facts)
{
    struct buffer now = BUFFER_INIT(status->written.limit), text = BUFFER_INIT(now.limit);
    struct error error = ERROR_INIT;
    char when[TEXT_TIME_SIZE];
    int rc = describe(&now, facts);
    if (!rc && now.length == status->written.length &&
        memcmp(now.data, status->written.data, now.length) == 0)
        goto out;
    text_time(when, clock_wall_ns(clock));
    if (!rc)
        rc = buffer_printf(&text, "%s,\"updated\":\"%s\"}\n", now.data, when);
    if (rc)
        rc = error_set(&error, rc, "no memory to write %s", STATUS_FILE);
    else
        rc = file_write_atomic(spool_root(spool), STATUS_FILE, text.data, text.length, 0600,
                               &error);
    if (rc && rc != status->failure)
        log_warning("cannot write the status of the recorder: %s", error.text);
    status->failure = rc;
    if (!rc) {
        buffer_free(&status->written);
        status->written = now;
        now = BUFFER_INIT(now.limit);
    }
out:
    buffer_free(&now);
    buffer_free(&text);
}

void status_free(struct status *status)
{
    buffer_free(&status->written);
}
