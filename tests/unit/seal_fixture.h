/* One session's sealing, for tests: a spool of its own, a clock that the test moves, a journal, and
 * what must come out. A failure ends the test. */
#ifndef CASTBUCKET_TESTS_UNIT_SEAL_FIXTURE_H
#define CASTBUCKET_TESTS_UNIT_SEAL_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/base/buffer.h"
#include "recorder/journal/journal.h"
#include "recorder/seal/manifest.h"
#include "recorder/seal/seal.h"

#define FIXTURE_ID "019ab1c2-d3e4-7f56-8901-23456789abcd"
#define FIXTURE_STARTED INT64_C(1795465321123456000)
#define FIXTURE_MUCH ((size_t)256 << 20)

struct seal_fixture {
    char path[512];
    struct spool *spool;
    struct seal_worker *worker;
    struct journal *journal;
    const char *transfer;  /* protocol of the next session, or NULL; its contents are kept */
    struct buffer sent[3]; /* what passed, per stream */
};

extern const struct clock fixture_clock; /* says fixture_now_ns, which appending moves on */
extern int64_t fixture_now_ns;

/* For cmocka_unit_test_setup_teardown(). The latter fails when a file was left behind. */
int fixture_set_up(void **state);
int fixture_tear_down(void **state);

/* The spool's files of the session. */
int fixture_area(const struct seal_fixture *f, enum spool_area which);
void fixture_clear(const struct seal_fixture *f);
bool fixture_has(const struct seal_fixture *f, enum spool_area which, const char *suffix);
struct buffer fixture_load(const struct seal_fixture *f, enum spool_area which, const char *suffix);
void fixture_store(const struct seal_fixture *f, enum spool_area which, const char *suffix,
                   const void *data, size_t length);

/* The host. What is appended to a stream is kept in `sent`. */
void fixture_open_session(struct seal_fixture *f, uint32_t has_terminal, uint32_t cast_version);
void fixture_append(struct seal_fixture *f, enum journal_type type, const void *data,
                    size_t length);
void fixture_show(struct seal_fixture *f, const char *text);
void fixture_show_much(struct seal_fixture *f, size_t length, uint64_t seed);
void fixture_end_session(struct seal_fixture *f, uint32_t status);
void fixture_kill_host(struct seal_fixture *f);
void fixture_forget_sent(struct seal_fixture *f);

/* The recorder. */
struct sealer *fixture_open_sealer(const struct seal_fixture *f);
int fixture_run(const struct seal_fixture *f, struct sealer *sealer, bool flush);
/* Runs it until there is nothing more to do, and returns how it then stands. */
int fixture_run_out(const struct seal_fixture *f, struct sealer *sealer, bool flush);
void fixture_sync(struct sealer *sealer);
/* As a kill does: nothing is flushed, nothing is synced, another sealer goes on. */
void fixture_seal_anew(const struct seal_fixture *f, bool flush, int expected);

/* Inflates all of it. window_bits: 31 for gzip, -15 for raw deflate. */
struct buffer fixture_inflate(const char *data, size_t length, int window_bits, int ends_with);

/* A decoded cast. */
struct fixture_cast {
    struct buffer raw[3], notes; /* notes: a line for each r, m and x */
    int64_t last_ns;
    size_t shown_before_marker; /* bytes of standard output before the last marker */
};

/* Decodes the recording and compares it with its manifest: valid gzip, valid cast, chunks and
 * hashes that fit. The caller frees both. */
struct manifest *fixture_read(const struct seal_fixture *f, struct fixture_cast *cast);
void fixture_cast_free(struct fixture_cast *cast);

/* And it is all that passed; what it was made from is gone. `notes`: the other events. */
struct manifest *fixture_recorded(const struct seal_fixture *f, const char *notes);

#endif
