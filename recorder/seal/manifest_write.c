#include "recorder/seal/manifest.h"

#include <string.h>

#include "recorder/base/text.h"
#include "recorder/cast/json_text.h"

/* Microseconds, rounded as the cast's own times are, so that they can be compared. */
static int append_seconds(struct buffer *out, const char *name, int64_t ns)
{
    long long us = ns / 1000 + (ns % 1000 >= 500);
    return buffer_printf(out, ",\"%s\":%lld.%06lld", name, us / 1000000, us % 1000000);
}

static int append_hash(struct buffer *out, const char *name, const uint8_t hash[32])
{
    char hex[65];
    text_hex(hex, hash, 32);
    return buffer_printf(out, ",\"%s\":\"%s\"", name, hex);
}

static int append_number(struct buffer *out, const char *name, uint64_t number)
{
    return buffer_printf(out, ",\"%s\":%llu", name, (unsigned long long)number);
}

static int append_who(const struct manifest *manifest, struct buffer *out)
{
    const struct {
        const char *name, *text;
    } members[] = {
        {"id", manifest->id},
        {"organization", manifest->organization},
        {"socket", manifest->socket},
        {"user", manifest->user},
        {"key_fingerprint", manifest->key_fingerprint},
        {"target_user", manifest->target_user},
        {"target_address", manifest->target_address},
        {"client_address", manifest->client_address},
        {"connection_id", manifest->connection_id},
        {"host", manifest->host},
        {"kind", manifest->kind},
        {"command", manifest->command},
        {"term", manifest->term},
    };
    unsigned count = 1;
    int rc = buffer_append_text(out, "{\"format\":\"castbucket-manifest\",\"version\":1");
    for (size_t i = 0; !rc && i < sizeof(members) / sizeof(members[0]); i++)
        rc = json_text_member(out, members[i].name, members[i].text, &count);
    if (!rc)
        rc = append_number(out, "columns", manifest->columns);
    if (!rc)
        rc = append_number(out, "rows", manifest->rows);
    return rc;
}

static int append_how(const struct manifest *manifest, struct buffer *out)
{
    char started[TEXT_TIME_SIZE];
    unsigned count = 1;
    text_time(started, manifest->started_ns);
    int rc = json_text_member(out, "started", started, &count);
    if (!rc)
        rc = append_seconds(out, "duration", manifest->duration_ns);
    if (!rc)
        rc = append_number(out, "cast_version", (uint64_t)manifest->cast_version);
    if (!rc)
        rc = json_text_member(out, "end", manifest->end, &count);
    if (!rc && manifest->exit_status >= 0)
        rc = append_number(out, "exit_status", (uint64_t)manifest->exit_status);
    if (!rc)
        rc = json_text_member(out, "signal", manifest->signal, &count);
    if (!rc)
        rc = json_text_member(out, "message", manifest->message, &count);
    if (!rc)
        rc = json_text_member(out, "damaged", manifest->damaged, &count);
    return rc;
}

static int append_transfer(const struct manifest_transfer *transfer, struct buffer *out)
{
    const struct {
        const char *name;
        uint64_t number;
    } numbers[] = {
        {"operations", transfer->operations}, {"put_files", transfer->put_files},
        {"put_bytes", transfer->put_bytes},   {"got_files", transfer->got_files},
        {"got_bytes", transfer->got_bytes},   {"listed", transfer->listed},
    };
    unsigned count = 0;
    if (!transfer->protocol || !*transfer->protocol)
        return 0;
    int rc = buffer_append_text(out, ",\"transfer\":{");
    if (!rc)
        rc = json_text_member(out, "protocol", transfer->protocol, &count);
    if (!rc)
        rc = buffer_printf(out, ",\"contents\":%s,\"understood\":%s",
                           transfer->contents ? "true" : "false",
                           transfer->understood ? "true" : "false");
    for (size_t i = 0; !rc && i < sizeof(numbers) / sizeof(*numbers); i++)
        rc = append_number(out, numbers[i].name, numbers[i].number);
    return rc ? rc : buffer_printf(out, ",\"list\":[%s]}", transfer->list);
}

static int append_sizes(const struct manifest *manifest, struct buffer *out)
{
    int rc = append_number(out, "output_bytes", manifest->output_bytes);
    if (!rc)
        rc = append_number(out, "input_bytes", manifest->input_bytes);
    if (!rc)
        rc = append_number(out, "lost_bytes", manifest->lost_bytes);
    if (!rc)
        rc = append_number(out, "cast_bytes", manifest->cast_bytes);
    if (!rc)
        rc = append_number(out, "size", manifest->size);
    if (!rc)
        rc = append_transfer(&manifest->transfer, out);
    if (!rc)
        rc = append_hash(out, "sha256", manifest->sha256);
    if (!rc)
        rc = append_hash(out, "chain", manifest->chain);
    return rc;
}

static int append_chunk(const struct manifest_chunk *chunk, bool first, struct buffer *out)
{
    int rc = buffer_printf(out, "%s{\"offset\":%llu", first ? "" : ",",
                           (unsigned long long)chunk->offset);
    if (!rc)
        rc = append_number(out, "size", chunk->size);
    if (!rc)
        rc = append_number(out, "cast_offset", chunk->cast_offset);
    if (!rc)
        rc = append_number(out, "cast_size", chunk->cast_size);
    if (!rc)
        rc = append_seconds(out, "time", chunk->time_ns);
    if (!rc)
        rc = append_hash(out, "sha256", chunk->sha256);
    if (!rc)
        rc = buffer_append_text(out, "}");
    return rc;
}

int manifest_write(const struct manifest *manifest, struct buffer *out, struct error *error)
{
    size_t before = out->length;
    int rc = append_who(manifest, out);
    if (!rc)
        rc = append_how(manifest, out);
    if (!rc)
        rc = append_sizes(manifest, out);
    if (!rc)
        rc = buffer_append_text(out, ",\"chunks\":[");
    for (size_t i = 0; !rc && i < manifest->chunk_count; i++)
        rc = append_chunk(&manifest->chunks[i], i == 0, out);
    if (!rc)
        rc = buffer_append_text(out, "]}\n");
    if (rc) {
        out->length = before;
        if (out->data)
            out->data[before] = '\0';
        return error_set(error, rc, "cannot write the manifest of %s: %s", manifest->id,
                         rc == ERR_LIMIT ? "it is too large" : "there is no memory");
    }
    return 0;
}
