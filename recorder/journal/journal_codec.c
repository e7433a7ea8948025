/* Payloads of JOURNAL_META and JOURNAL_END. */
#include "recorder/journal/journal_format.h"

static int put_u32(struct buffer *out, uint32_t number)
{
    number = htole32(number);
    return buffer_append(out, &number, sizeof(number));
}

static int put_string(struct buffer *out, const char *text, size_t most)
{
    size_t length = text ? strnlen(text, most - 1) : 0;
    uint16_t size = htole16((uint16_t)length);
    int rc = buffer_append(out, &size, sizeof(size));
    if (!rc && length)
        rc = buffer_append(out, text, length);
    return rc ? rc : buffer_append(out, "", 1);
}

int journal_encode_meta(const struct journal_meta *meta, struct buffer *out)
{
    const char *strings[JOURNAL_META_STRINGS] = {meta->id,
                                                 meta->organization,
                                                 meta->socket,
                                                 meta->user,
                                                 meta->key_fingerprint,
                                                 meta->target_user,
                                                 meta->target_address,
                                                 meta->client_address,
                                                 meta->command,
                                                 meta->term,
                                                 meta->connection_id,
                                                 meta->host,
                                                 meta->transfer,
                                                 meta->contents};
    uint32_t numbers[] = {meta->kind, meta->has_terminal, meta->columns,
                          meta->rows, meta->cast_version, meta->input_recorded};
    int64_t started = (int64_t)htole64((uint64_t)meta->started_ns);
    int rc = buffer_append(out, &started, sizeof(started));
    for (size_t i = 0; !rc && i < sizeof(numbers) / sizeof(*numbers); i++)
        rc = put_u32(out, numbers[i]);
    if (!rc)
        rc = put_u32(out, JOURNAL_META_STRINGS);
    for (size_t i = 0; !rc && i < JOURNAL_META_STRINGS; i++)
        rc = put_string(out, strings[i], JOURNAL_META_TEXT);
    return rc;
}

int journal_encode_end(const struct journal_end *end, struct buffer *out)
{
    int rc = put_u32(out, end->kind);
    if (!rc)
        rc = put_u32(out, end->status);
    if (!rc)
        rc = put_u32(out, JOURNAL_END_STRINGS);
    if (!rc)
        rc = put_string(out, end->signal, JOURNAL_END_SIGNAL);
    return rc ? rc : put_string(out, end->message, JOURNAL_END_MESSAGE);
}

/* What is left to decode. `bad` stays set once anything was not as it should be. */
struct input {
    const char *data;
    size_t left;
    bool bad;
};

static const char *take(struct input *input, size_t length)
{
    if (input->bad || input->left < length) {
        input->bad = true;
        return NULL;
    }
    const char *p = input->data;
    input->data += length;
    input->left -= length;
    return p;
}

static uint32_t take_u32(struct input *input)
{
    uint32_t number = 0;
    const char *p = take(input, sizeof(number));
    if (p)
        memcpy(&number, p, sizeof(number));
    return le32toh(number);
}

static const char *take_string(struct input *input)
{
    uint16_t size;
    const char *p = take(input, sizeof(size));
    if (!p)
        return "";
    memcpy(&size, p, sizeof(size));
    size_t length = le16toh(size);
    p = take(input, length + 1);
    if (!p || strnlen(p, length + 1) != length) {
        input->bad = true;
        return "";
    }
    return p;
}

static void take_strings(struct input *input, const char **fields[], size_t known)
{
    uint32_t count = take_u32(input);
    for (size_t i = 0; i < known; i++)
        *fields[i] = i < count ? take_string(input) : "";
}

int journal_decode_meta(const void *data, size_t length, struct journal_meta *meta,
                        struct error *error)
{
    struct input input = {.data = data, .left = length};
    *meta = (struct journal_meta){0};
    uint64_t started = 0;
    const char *p = take(&input, sizeof(started));
    if (p)
        memcpy(&started, p, sizeof(started));
    meta->started_ns = (int64_t)le64toh(started);
    meta->kind = take_u32(&input);
    meta->has_terminal = take_u32(&input);
    meta->columns = take_u32(&input);
    meta->rows = take_u32(&input);
    meta->cast_version = take_u32(&input);
    meta->input_recorded = take_u32(&input);
    const char **fields[JOURNAL_META_STRINGS] = {&meta->id,
                                                 &meta->organization,
                                                 &meta->socket,
                                                 &meta->user,
                                                 &meta->key_fingerprint,
                                                 &meta->target_user,
                                                 &meta->target_address,
                                                 &meta->client_address,
                                                 &meta->command,
                                                 &meta->term,
                                                 &meta->connection_id,
                                                 &meta->host,
                                                 &meta->transfer,
                                                 &meta->contents};
    take_strings(&input, fields, JOURNAL_META_STRINGS);
    if (input.bad)
        return error_set(error, ERR_DAMAGED, "the session's facts cannot be decoded");
    return 0;
}

int journal_decode_end(const void *data, size_t length, struct journal_end *end,
                       struct error *error)
{
    struct input input = {.data = data, .left = length};
    *end = (struct journal_end){0};
    end->kind = take_u32(&input);
    end->status = take_u32(&input);
    const char **fields[JOURNAL_END_STRINGS] = {&end->signal, &end->message};
    take_strings(&input, fields, JOURNAL_END_STRINGS);
    if (input.bad)
        return error_set(error, ERR_DAMAGED, "the session's end cannot be decoded");
    return 0;
}
