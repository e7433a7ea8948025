/* Makes a journal's file out of an input, with its CRCs right: a fuzzer would not guess them. */
#ifndef CASTBUCKET_TESTS_FUZZ_MADE_JOURNAL_H
#define CASTBUCKET_TESTS_FUZZ_MADE_JOURNAL_H

#include "recorder/base/buffer.h"
#include "tests/fuzz/fuzz.h"

/* Input: a byte of options, then frames: type, two bytes of length, a byte of time, the payload.
 * Options: bit 0: what follows are the bytes after the header page as they are; bit 1: the meta
 * frame is the input's, too; bit 2: published in the middle; bit 3: past the end. */
void made_journal(struct fuzz_input *input, const char *id, struct buffer *file);

#endif
