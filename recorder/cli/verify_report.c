#include "recorder/cli/verify_report.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "recorder/cli/cli.h"
#include "recorder/cli/show.h"

#define MOST_TEXT ((size_t)64 << 20)

static const char *const kinds[] = {[RECORDING_MISSING] = "missing",
                                    [RECORDING_CHANGED] = "changed",
                                    [RECORDING_EXTRA] = "extra",
                                    [RECORDING_FRAME] = "frame"};

static const char *const states[] = {[SIGNATURE_NONE] = "none",
                                     [SIGNATURE_UNCHECKED] = "unchecked",
                                     [SIGNATURE_UNKNOWN] = "unknown",
                                     [SIGNATURE_BAD] = "bad",
                                     [SIGNATURE_TRUSTED] = "trusted"};

/* ---- faults, gathered as text or as the members of a JSON array -------------------------------
 */

static int add_json(struct buffer *to, const struct recording_fault *fault)
{
    return buffer_printf(to,
                         "%s{\"kind\": \"%s\", \"offset\": %llu, \"size\": %llu, \"chunk\": %zu, "
                         "\"chunks\": %zu, \"from\": %.6f, \"to\": %.6f}",
                         to->length ? ", " : "", kinds[fault->kind],
                         (unsigned long long)fault->offset, (unsigned long long)fault->size,
                         fault->chunk, fault->chunks, (double)fault->from_ns / 1e9,
                         (double)fault->to_ns / 1e9);
}

static int add_text(struct buffer *to, const struct recording_fault *fault, size_t all_chunks)
{
    char from[SHOW_NUMBER_SIZE], until[SHOW_NUMBER_SIZE];
    unsigned long long first = fault->offset, last = fault->offset + fault->size - 1;
    show_duration(from, fault->from_ns);
    show_duration(until, fault->to_ns);
    if (fault->kind == RECORDING_EXTRA)
        return buffer_printf(to, "  %llu bytes too many, from byte %llu on\n",
                             (unsigned long long)fault->size, first);
    if (fault->kind == RECORDING_FRAME)
        return buffer_printf(to, "  changed: bytes of gzip around the chunks, which are all as "
                                 "they were recorded\n");
    int rc = buffer_printf(to, "  %s: bytes %llu to %llu", kinds[fault->kind], first, last);
    if (!rc && fault->chunks == 1)
        rc = buffer_printf(to, ", chunk %zu of %zu", fault->chunk + 1, all_chunks);
    else if (!rc && fault->chunks)
        rc = buffer_printf(to, ", chunks %zu to %zu of %zu", fault->chunk + 1,
                           fault->chunk + fault->chunks, all_chunks);
    if (!rc && fault->chunks)
        rc = buffer_printf(to, ", from %s to %s of the session", from, until);
    return rc ? rc : buffer_append_text(to, "\n");
}

void verify_report_fault(struct verify_report *report, const struct recording_fault *fault)
{
    if (report->faults.limit == 0)
        report->faults = BUFFER_INIT(MOST_TEXT);
    if (report->json ? add_json(&report->faults, fault)
                     : add_text(&report->faults, fault, report->manifest->chunk_count))
        report->left_out++;
}

/* ---- the end --------------------------------------------------------------------------------- */

static bool is_whole(const struct recording_verdict *verdict)
{
    return verdict->there && verdict->faults == 0 && verdict->chain_fits && verdict->header_fits;
}

static const char *outcome(int status)
{
    return status == CLI_OK ? "whole" : status == VERIFY_DAMAGED ? "damaged" : "untrusted";
}

static void print_json(const struct verify_report *report, int status)
{
    const struct recording_verdict *verdict = &report->verdict;
    printf("{\"id\": \"%s\", \"outcome\": \"%s\", \"size\": %llu, \"recorded_size\": %llu, "
           "\"chunks\": %zu, \"whole_chunks\": %zu, \"chain\": %s, \"header\": %s, "
           "\"signature\": \"%s\", \"signing_key\": %s%s%s, \"faults\": [%s]}\n",
           report->manifest->id, outcome(status), (unsigned long long)verdict->size,
           (unsigned long long)report->manifest->size, report->manifest->chunk_count,
           verdict->chunks, verdict->chain_fits ? "true" : "false",
           verdict->header_fits ? "true" : "false", states[report->signature],
           *report->key ? "\"" : "", *report->key ? report->key : "null", *report->key ? "\"" : "",
           report->faults.data ? report->faults.data : "");
}

static void print_signature(const struct verify_report *report)
{
    static const char *const words[] = {
        [SIGNATURE_NONE] = "not signed",
        [SIGNATURE_UNCHECKED] = "signed, which was not checked (--key FILE does), by the key",
        [SIGNATURE_UNKNOWN] = "signed by a key that is not among the trusted ones:",
        [SIGNATURE_BAD] = "the signature is wrong: this manifest is not what was signed by the key",
        [SIGNATURE_TRUSTED] = "signed by the trusted key",
    };
    printf("  %s%s%s\n", words[report->signature], *report->key ? " " : "", report->key);
}

static void print_text(const struct verify_report *report, int status)
{
    const struct recording_verdict *verdict = &report->verdict;
    const struct manifest *manifest = report->manifest;
    char size[SHOW_NUMBER_SIZE], duration[SHOW_NUMBER_SIZE];
    show_size(size, manifest->size);
    show_duration(duration, manifest->duration_ns);
    printf("%s: %s\n", manifest->id, outcome(status));
    if (!verdict->there)
        printf("  the recording is gone, only its manifest is there\n");
    fputs(report->faults.data ? report->faults.data : "", stdout);
    if (!verdict->chain_fits)
        printf("  the manifest was changed: its chain is not that of its chunks\n");
    if (!verdict->header_fits)
        printf("  the cast is another session's\n");
    printf("  %zu of %zu chunk%s whole; %s, %s\n", verdict->chunks, manifest->chunk_count,
           manifest->chunk_count == 1 ? " is" : "s are", size, duration);
    if (*manifest->damaged)
        printf("  when it was recorded, the journal was damaged: the session went on after this "
               "recording's end\n");
    print_signature(report);
}

int verify_report_end(struct verify_report *report, bool trusting)
{
    int status = CLI_OK;
    if (report->signature == SIGNATURE_BAD || (trusting && report->signature != SIGNATURE_TRUSTED))
        status = VERIFY_UNTRUSTED;
    if (!is_whole(&report->verdict))
        status = VERIFY_DAMAGED;
    if (report->json)
        print_json(report, status);
    else
        print_text(report, status);
    if (report->left_out)
        fprintf(stderr, "castbucket verify: no memory for %zu more faults\n", report->left_out);
    return status;
}

int verify_report_manifest(struct verify_report *report, const char *id,
                           const struct error *problem)
{
    if (!report->json) {
        printf("%s%sdamaged\n  %s\n", id, *id ? ": " : "", problem->text);
        return VERIFY_DAMAGED;
    }
    json_t *line = json_pack("{s:s?, s:s, s:s}", "id", *id ? id : NULL, "outcome", "damaged",
                             "manifest", problem->text);
    char *text = line ? json_dumps(line, 0) : NULL;
    printf("%s\n", text ? text : "{\"outcome\": \"damaged\"}");
    free(text);
    json_decref(line);
    return VERIFY_DAMAGED;
}

void verify_report_free(struct verify_report *report)
{
    buffer_free(&report->faults);
}
