#include "recorder/seal/transfer_json.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/base/base64.h"
#include "recorder/base/text.h"
#include "recorder/cast/json_text.h"

static int append_seconds(struct buffer *out, const char *name, int64_t ns)
{
    long long us = ns / 1000 + (ns % 1000 >= 500);
    return buffer_printf(out, "\"%s\":%lld.%06lld", name, us / 1000000, us % 1000000);
}

static int append_base64(struct buffer *out, const char *bytes, size_t length)
{
    int rc = buffer_reserve(out, BASE64_SIZE(length));
    if (rc)
        return rc;
    base64_encode(out->data + out->length, NULL, 0, (const uint8_t *)bytes, length);
    out->length += BASE64_SIZE(length);
    out->data[out->length] = '\0';
    return 0;
}

/* A client may ask for a name with a NUL in it, though no file has one. JSON could say it, but many
 * readers refuse all of a text that does. */
static bool is_text(const struct transfer_name *name)
{
    return text_is_utf8(name->bytes, name->length) && !memchr(name->bytes, '\0', name->length);
}

static int append_without_nul(struct buffer *out, const struct transfer_name *name)
{
    char *copy = malloc(name->length);
    if (!copy)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < name->length; i++)
        copy[i] = name->bytes[i] ? name->bytes[i] : '\xff'; /* which becomes U+FFFD */
    int rc = json_text_append(out, copy, name->length);
    free(copy);
    return rc;
}

/* As text, and where text cannot say it, the exact bytes and how many there were. */
static int append_name(struct buffer *out, const char *member, const struct transfer_name *name)
{
    if (!name->bytes)
        return 0;
    int rc = buffer_printf(out, ",\"%s\":", member);
    if (!rc)
        rc = memchr(name->bytes, '\0', name->length)
                 ? append_without_nul(out, name)
                 : json_text_append(out, name->bytes, name->length);
    if (!rc && !is_text(name)) {
        rc = buffer_printf(out, ",\"%s_base64\":\"", member);
        if (!rc)
            rc = append_base64(out, name->bytes, name->length);
        if (!rc)
            rc = buffer_append_text(out, "\"");
    }
    if (!rc && name->whole > name->length)
        rc = buffer_printf(out, ",\"%s_length\":%zu", member, name->whole);
    return rc;
}

static int append_bytes(struct buffer *out, const struct transfer_operation *operation)
{
    char hex[2 * SHA256_SIZE + 1];
    unsigned members = 1;
    int rc = 0;
    if (operation->counted)
        rc = buffer_printf(out, ",\"bytes\":%llu", (unsigned long long)operation->bytes);
    /* Readers of JSON have signed numbers; no file goes so far, but a client may ask for it. */
    uint64_t offset = operation->offset <= INT64_MAX ? operation->offset : INT64_MAX;
    if (!rc && operation->counted && offset)
        rc = buffer_printf(out, ",\"offset\":%llu", (unsigned long long)offset);
    text_hex(hex, operation->sha256, SHA256_SIZE);
    if (!rc && operation->hashed)
        rc = json_text_member(out, "sha256", hex, &members);
    else if (!rc && operation->unhashed) {
        rc = buffer_append_text(out, ",\"sha256\":null");
        if (!rc)
            rc = json_text_member(out, "no_sha256", operation->unhashed, &members);
    }
    return rc;
}

int transfer_json(const struct transfer_operation *operation, int64_t time_ns, struct buffer *out)
{
    unsigned members = 1;
    int rc = buffer_append_text(out, "{");
    if (!rc && time_ns >= 0) {
        rc = append_seconds(out, "time", time_ns);
        if (!rc)
            rc = buffer_append_text(out, ",");
    }
    if (!rc)
        rc = buffer_printf(out, "\"op\":\"%s\"", transfer_op_name(operation->op));
    if (!rc)
        rc = append_name(out, "path", &operation->path);
    if (!rc)
        rc = append_name(out, "to", &operation->to);
    if (!rc)
        rc = json_text_member(out, "detail", operation->detail, &members);
    if (!rc && operation->since_ns && operation->counted) {
        rc = buffer_append_text(out, ",");
        if (!rc)
            rc = append_seconds(out, "opened", operation->since_ns);
    }
    if (!rc)
        rc = append_bytes(out, operation);
    if (!rc)
        rc = json_text_member(out, "result", operation->result, &members);
    return rc ? rc : buffer_append_text(out, "}");
}
