#include "recorder/transfer/transfer_text.h"

#include <string.h>

#include "recorder/base/text.h"

/* The most that text_escape() makes of a byte: \xHH, or \u{HEX} of a character's two or more. */
#define ESCAPE_GROWTH 8

/* text_escape() ends at a NUL, a name need not. */
static int append_escaped(struct buffer *out, const char *bytes, size_t length)
{
    char text[TRANSFER_NAME_MAX + 1], shown[ESCAPE_GROWTH * TRANSFER_NAME_MAX + 1];
    int rc = 0;
    if (length > TRANSFER_NAME_MAX)
        length = TRANSFER_NAME_MAX;
    if (length)
        memcpy(text, bytes, length);
    text[length] = '\0';
    for (size_t at = 0; !rc && at < length;) {
        text_escape(shown, sizeof(shown), text + at);
        rc = buffer_append_text(out, shown);
        at += strlen(text + at);
        if (!rc && at < length) {
            rc = buffer_append_text(out, "\\x00");
            at++;
        }
    }
    return rc;
}

int transfer_name_text(const struct transfer_name *name, struct buffer *out)
{
    bool quoted = name->length == 0 || memchr(name->bytes, ' ', name->length);
    int rc = quoted ? buffer_append_text(out, "\"") : 0;
    if (!rc)
        rc = append_escaped(out, name->bytes, name->length);
    if (!rc && name->whole > name->length)
        rc = buffer_printf(out, "... (%zu bytes in all)", name->whole);
    if (!rc && quoted)
        rc = buffer_append_text(out, "\"");
    return rc;
}

static int append_bytes(const struct transfer_operation *operation, struct buffer *out)
{
    char hex[2 * SHA256_SIZE + 1];
    int rc = 0;
    if (operation->counted)
        rc = buffer_printf(out, " %llu bytes", (unsigned long long)operation->bytes);
    if (!rc && operation->counted && operation->offset)
        rc = buffer_printf(out, " from %llu on", (unsigned long long)operation->offset);
    text_hex(hex, operation->sha256, SHA256_SIZE);
    if (!rc && operation->hashed)
        rc = buffer_printf(out, " sha256:%s", hex);
    else if (!rc && operation->unhashed)
        rc = buffer_printf(out, " (no hash: %s)", operation->unhashed);
    return rc;
}

int transfer_line(const struct transfer_operation *operation, struct buffer *out)
{
    const struct transfer_name *const names[] = {&operation->path, &operation->to};
    int rc = buffer_append_text(out, transfer_op_name(operation->op));
    for (size_t i = 0; !rc && i < 2; i++) {
        if (!names[i]->bytes)
            continue;
        rc = buffer_append_text(out, i ? " -> " : " ");
        if (!rc)
            rc = transfer_name_text(names[i], out);
    }
    if (!rc && operation->detail && *operation->detail) {
        rc = buffer_append_text(out, " ");
        if (!rc)
            rc = append_escaped(out, operation->detail, strlen(operation->detail));
    }
    if (!rc)
        rc = append_bytes(operation, out);
    if (!rc && operation->result) {
        rc = buffer_append_text(out, " ");
        if (!rc)
            rc = append_escaped(out, operation->result, strlen(operation->result));
    }
    return rc;
}
