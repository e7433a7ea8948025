/* The first line of a cast. */
#include <string.h>

#include "recorder/cast/cast_encoder.h"
#include "recorder/cast/json_text.h"

static int append_facts(const struct cast_header *header, struct buffer *out)
{
    const struct {
        const char *name, *text;
    } facts[] = {
        {"id", header->id},
        {"organization", header->organization},
        {"socket", header->socket},
        {"user", header->user},
        {"key_fingerprint", header->key_fingerprint},
        {"target_user", header->target_user},
        {"target_address", header->target_address},
        {"client_address", header->client_address},
        {"connection_id", header->connection_id},
        {"host", header->host},
        {"kind", header->kind},
        {"transfer", header->transfer},
    };
    unsigned members = 0;
    int rc = buffer_append_text(out, ",\"castbucket\":{");
    for (size_t i = 0; !rc && i < sizeof(facts) / sizeof(facts[0]); i++)
        rc = json_text_member(out, facts[i].name, facts[i].text, &members);
    if (!rc && header->transfer && *header->transfer)
        rc = buffer_printf(out, ",\"contents\":%s", header->contents ? "true" : "false");
    if (!rc)
        rc = buffer_printf(out, "%s\"onlcr\":%s}", members ? "," : "",
                           header->onlcr ? "true" : "false");
    return rc;
}

static int append_header(const struct cast_header *header, struct buffer *out)
{
    const char *term = header->term ? header->term : "";
    uint32_t columns = header->columns ? header->columns : 80;
    uint32_t rows = header->rows ? header->rows : 24;
    /* Whole seconds, rounded down before 1970 too. */
    int64_t seconds = header->started_ns / 1000000000 - (header->started_ns % 1000000000 < 0);
    unsigned members = 1, inner = 1;
    int rc;

    if (header->version == 2) {
        rc = buffer_printf(out, "{\"version\":2,\"width\":%u,\"height\":%u", columns, rows);
    } else {
        rc = buffer_printf(out, "{\"version\":3,\"term\":{\"cols\":%u,\"rows\":%u", columns, rows);
        if (!rc)
            rc = json_text_member(out, "type", term, &inner);
        if (!rc)
            rc = buffer_append_text(out, "}");
    }
    if (!rc)
        rc = buffer_printf(out, ",\"timestamp\":%lld", (long long)seconds);
    if (!rc)
        rc = json_text_member(out, "title", header->title, &members);
    if (!rc)
        rc = json_text_member(out, "command", header->command, &members);
    if (!rc && header->version == 2 && *term) {
        inner = 0;
        rc = buffer_append_text(out, ",\"env\":{");
        if (!rc)
            rc = json_text_member(out, "TERM", term, &inner);
        if (!rc)
            rc = buffer_append_text(out, "}");
    }
    if (!rc)
        rc = append_facts(header, out);
    if (!rc)
        rc = buffer_append_text(out, "}\n");
    return rc;
}

int cast_begin(struct cast_encoder *encoder, const struct cast_header *header, struct buffer *out)
{
    size_t before = out->length;
    if (header->version != 2 && header->version != 3)
        return ERR_INVALID;
    int rc = append_header(header, out);
    if (rc) {
        out->length = before;
        if (out->data)
            out->data[before] = '\0';
        return rc;
    }
    *encoder = (struct cast_encoder){.version = header->version, .onlcr = header->onlcr};
    return 0;
}
