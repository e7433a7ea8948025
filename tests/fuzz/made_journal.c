#include "tests/fuzz/made_journal.h"

#include "recorder/journal/journal_format.h"

static void append_frame(struct buffer *file, unsigned type, uint64_t time_ns, const void *data,
                         size_t length)
{
    static const char zeros[8];
    struct journal_frame_header header = {htole32((uint32_t)length | type << 24), 0,
                                          htole64(time_ns)};
    size_t start = file->length;
    fuzz_require(buffer_append(file, &header, sizeof(header)) == 0);
    fuzz_require(length == 0 || buffer_append(file, data, length) == 0);
    header.crc = htole32(journal_frame_crc(file->data + start, length));
    memcpy(file->data + start, &header, sizeof(header));
    size_t padding = journal_frame_size(length) - sizeof(header) - length;
    fuzz_require(padding == 0 || buffer_append(file, zeros, padding) == 0);
}

static void append_meta(struct buffer *file, const char *id, uint8_t options)
{
    const struct journal_meta meta = {.id = id,
                                      .organization = "acme",
                                      .socket = "web-1",
                                      .user = "alice",
                                      .key_fingerprint = "",
                                      .target_user = "deploy",
                                      .target_address = "",
                                      .client_address = "",
                                      .command = "",
                                      .term = "xterm",
                                      .connection_id = "",
                                      .host = "bastion",
                                      .transfer = options & 0x40 ? "sftp" : "",
                                      .kind = JOURNAL_SHELL,
                                      .has_terminal = options >> 4 & 1,
                                      .columns = 80,
                                      .rows = 24,
                                      .cast_version = options & 0x20 ? 3 : 2,
                                      .input_recorded = 1,
                                      .started_ns = INT64_C(1795465321123456000)};
    struct buffer payload = BUFFER_INIT(JOURNAL_META_MAX);
    fuzz_require(journal_encode_meta(&meta, &payload) == 0);
    append_frame(file, JOURNAL_META, 0, payload.data, payload.length);
    buffer_free(&payload);
}

void made_journal(struct fuzz_input *input, const char *id, struct buffer *file)
{
    static const char page[JOURNAL_HEADER_SIZE];
    uint8_t options = fuzz_byte(input);
    size_t length;
    fuzz_require(buffer_append(file, page, sizeof(page)) == 0);
    if (!(options & 2))
        append_meta(file, id, options);
    if (options & 1) {
        const uint8_t *bytes = fuzz_bytes(input, input->left, &length);
        fuzz_require(length == 0 || buffer_append(file, bytes, length) == 0);
    }
    uint64_t time_ns = 0;
    while (input->left) {
        unsigned type = fuzz_byte(input);
        size_t wanted = fuzz_number(input, 2);
        time_ns += fuzz_byte(input) * UINT64_C(12345678);
        const uint8_t *bytes = fuzz_bytes(input, wanted, &length);
        append_frame(file, type, time_ns, bytes, length);
    }
    struct journal_header header = {.version = htole32(JOURNAL_VERSION),
                                    .header_size = htole32(JOURNAL_HEADER_SIZE)};
    memcpy(header.magic, JOURNAL_MAGIC, sizeof(header.magic));
    header.crc = htole32(journal_header_crc(&header));
    uint64_t published = file->length;
    if (options & 4)
        published = (published / 2) & ~UINT64_C(7);
    if (options & 8)
        published += 4096;
    atomic_init(&header.published, htole64(published));
    memcpy(file->data, &header, sizeof(header));
}
