/* A journal made of the input (see made_journal.h; the first byte's top bit: all of its bytes as
 * they are), read to its end, and once more from the middle. */
#include <fcntl.h>
#include <unistd.h>

#include "recorder/journal/journal.h"
#include "tests/fuzz/made_journal.h"

#define ID "019ab1c2-d3e4-7f56-8901-23456789abcd"
#define NAME ID ".journal"
#define MUCH ((size_t)4 << 20)

struct reached {
    uint64_t offset;
    int64_t time_ns;
    unsigned frames;
};

/* Reads on until nothing more comes; *middle: after half of the frames, if known. */
static struct reached read_all(struct journal_reader *reader, uint64_t from, struct reached *middle,
                               unsigned half)
{
    struct reached end = {from, 0, 0};
    struct journal_frame frame;
    struct journal_end how;
    struct error error = ERROR_INIT;
    int rc;
    while ((rc = journal_reader_next(reader, &frame, &error)) == JOURNAL_FRAME) {
        fuzz_require(frame.end > end.offset && frame.end % 8 == 0);
        fuzz_require(end.frames == 0 || frame.time_ns >= end.time_ns);
        fuzz_require(frame.length <= JOURNAL_MAX_PAYLOAD);
        /* Every byte can be read. */
        fuzz_require(frame.length == 0 || memchr(frame.data, 0, frame.length) != &end);
        if (frame.type == JOURNAL_END && journal_reader_end(reader, &frame, &how, NULL) == 0)
            fuzz_require(how.signal && how.message);
        end = (struct reached){frame.end, frame.time_ns, end.frames + 1};
        if (end.frames == half)
            *middle = end;
    }
    fuzz_require(rc == JOURNAL_WAIT || (rc == error.code && error.text[0]));
    return end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int directory = -1;
    struct fuzz_input input = {data, size};
    struct buffer file = BUFFER_INIT(MUCH);
    struct journal_reader *reader = NULL;
    struct error error = ERROR_INIT;
    if (directory < 0)
        directory = open(fuzz_directory(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (size && data[0] & 0x80)
        fuzz_require(size == 1 || buffer_append(&file, data + 1, size - 1) == 0);
    else
        made_journal(&input, ID, &file);
    fuzz_write(directory, NAME, file.data, file.length);
    buffer_free(&file);

    int rc = journal_reader_open(directory, NAME, &reader, &error);
    fuzz_require(rc == error.code && (rc == 0) == (reader != NULL));
    if (rc)
        return 0;
    fuzz_require(journal_reader_meta(reader)->id && journal_reader_meta(reader)->host);
    struct reached none, middle = {0};
    read_all(reader, 0, &none, 0);
    fuzz_require(journal_reader_writer_gone(reader));
    journal_reader_free(reader);

    fuzz_require(journal_reader_open(directory, NAME, &reader, NULL) == 0);
    fuzz_require(journal_reader_writer_gone(reader));
    struct reached end = read_all(reader, 0, &middle, 0);
    journal_reader_free(reader);

    fuzz_require(journal_reader_open(directory, NAME, &reader, NULL) == 0);
    fuzz_require(journal_reader_writer_gone(reader));
    read_all(reader, 0, &middle, end.frames / 2);
    if (middle.frames) {
        fuzz_require(journal_reader_seek(reader, middle.offset, middle.time_ns, NULL) == 0);
        struct reached again = read_all(reader, middle.offset, &none, 0);
        fuzz_require(again.offset == end.offset && again.frames + middle.frames == end.frames);
    }
    journal_reader_free(reader);
    return 0;
}
