/* What `castbucket verify` found, in words or as JSON. */
#ifndef CASTBUCKET_CLI_VERIFY_REPORT_H
#define CASTBUCKET_CLI_VERIFY_REPORT_H

#include <stdbool.h>

#include "recorder/base/buffer.h"
#include "recorder/read/recording.h"
#include "recorder/seal/signature.h"

/* Exit statuses beside those of cli.h. */
enum verify_exit { VERIFY_DAMAGED = 3, VERIFY_UNTRUSTED = 4 };

/* Zeroed but for what is set before: */
struct verify_report {
    bool json;                       /* at the start */
    const struct manifest *manifest; /* before the first fault */
    enum signature_state signature;  /* before the end, and so: */
    char key[SIGNING_KEY_ID_SIZE];
    struct recording_verdict verdict;

    struct buffer faults; /* the report's own: what was found so far */
    size_t left_out;      /* faults for which there was no memory */
};

void verify_report_fault(struct verify_report *report, const struct recording_fault *fault);

/* The manifest itself cannot be read, or is another recording's. Returns an exit status; so does
 * the next. */
int verify_report_manifest(struct verify_report *report, const char *id,
                           const struct error *problem);

/* `trusting`: there are keys, one of which must have signed it. */
int verify_report_end(struct verify_report *report, bool trusting);

void verify_report_free(struct verify_report *report);

#endif
