#include <stdio.h>
#include <string.h>

#include "recorder/cli/commands.h"
#include "recorder/cli/progress.h"
#include "recorder/cli/recording_operand.h"
#include "recorder/cli/verify_report.h"
#include "recorder/seal/signature.h"

static const struct cli_option options[] = {
    {"org", 0, "ORG", "the organization (required unless ID is a file)"},
    {"manifest", 0, "FILE", "the manifest of a local file (default: the same name with .json)"},
    {"key", 0, "FILE", "public keys in PEM, one after another: one of them must have signed it"},
    {"json", 0, NULL, "print one JSON object"},
    {0},
};

struct verify {
    const struct cli_command *command;
    struct recording_operand operand;
    struct trusted_keys *trusted; /* NULL: none are */
    struct verify_report report;
    struct progress progress;
};

static void on_fault(void *context, const struct recording_fault *fault)
{
    struct verify *verify = context;
    verify_report_fault(&verify->report, fault);
}

static void on_progress(void *context, uint64_t bytes)
{
    struct verify *verify = context;
    progress_show(&verify->progress, bytes, verify->operand.manifest->size);
}

/* Of a local file: beside it, or where --manifest says. */
static int read_local_manifest(struct verify *verify, const char *given, struct error *error)
{
    struct recording_operand *operand = &verify->operand;
    size_t length = strlen(operand->source.path), suffix = strlen(KEY_CAST_SUFFIX);
    char path[4096];
    if (!given &&
        (length <= suffix || strcmp(operand->source.path + length - suffix, KEY_CAST_SUFFIX) != 0))
        return error_set(error, ERR_INVALID,
                         "%s does not end in " KEY_CAST_SUFFIX
                         ": say with --manifest FILE where its manifest is",
                         operand->source.path);
    if (given)
        snprintf(path, sizeof(path), "%s", given);
    else
        snprintf(path, sizeof(path), "%.*s" KEY_MANIFEST_SUFFIX, (int)(length - suffix),
                 operand->source.path);
    int rc = recording_manifest_file(path, &operand->manifest, &operand->manifest_text, error);
    if (rc == ERR_DAMAGED || rc == ERR_LIMIT) {
        error_prefix(error, "%s", path);
        operand->manifest_error = *error;
        return 0;
    }
    return rc;
}

/* Returns -1 when there is a manifest to go by, or an exit status. */
static int have_manifest(struct verify *verify, const char *given)
{
    struct recording_operand *operand = &verify->operand;
    struct error error = ERROR_INIT;
    if (operand->source.path && read_local_manifest(verify, given, &error))
        return cli_fail(verify->command, &error);
    if (operand->manifest_error.code)
        return verify_report_manifest(&verify->report, operand->id, &operand->manifest_error);
    if (operand->manifest)
        return -1;
    error_set(&error, ERR_NOT_FOUND,
              "%s has no manifest, so nothing says what it should be: its upload is under way, or "
              "the manifest was removed",
              operand->id);
    return cli_fail(verify->command, &error);
}

static int verify_recording(struct verify *verify)
{
    struct recording_operand *operand = &verify->operand;
    struct verify_report *report = &verify->report;
    struct error error = ERROR_INIT;
    struct recording_source source = {
        .store = operand->source.store, .key = operand->source.key, .path = operand->source.path};
    report->manifest = operand->manifest;
    int rc = signature_check(operand->manifest_text.data, operand->manifest_text.length,
                             operand->manifest->signature, verify->trusted, &report->signature,
                             report->key, &error);
    if (!rc)
        rc = recording_verify(&source, operand->manifest, on_fault, on_progress, verify,
                              &report->verdict, &error);
    progress_clear(&verify->progress);
    if (rc)
        return cli_fail(verify->command, &error);
    return verify_report_end(report, verify->trusted != NULL);
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct cli_arguments arguments;
    struct verify verify = {.command = command, .progress = progress_begin()};
    struct error error = ERROR_INIT;
    int rc = cli_parse(command, argc, argv, 1, 1, &arguments);
    if (rc >= 0)
        return rc;
    const char *keys = cli_value(command, &arguments, "key");
    const char *manifest = cli_value(command, &arguments, "manifest");
    verify.report.json = cli_value(command, &arguments, "json") != NULL;
    if (keys && trusted_keys_load(keys, &verify.trusted, &error))
        return cli_fail(command, &error);
    rc = recording_operand_open(command, arguments.settings, cli_value(command, &arguments, "org"),
                                arguments.operand[0], &verify.operand);
    if (rc < 0 && manifest && !verify.operand.source.path)
        rc = cli_usage_error(command, "--manifest is for local files");
    if (rc < 0)
        rc = have_manifest(&verify, manifest);
    if (rc < 0)
        rc = verify_recording(&verify);
    verify_report_free(&verify.report);
    recording_operand_close(&verify.operand);
    trusted_keys_free(verify.trusted);
    return rc;
}

const struct cli_command cli_verify = {
    "verify",
    "ID",
    "Says whether a recording is as it was recorded, and what is missing or changed.",
    "ID is as for get. Compares size, each chunk, the chain over them and the whole with the "
    "manifest, and the manifest with the recording; names the bytes and the time of the session "
    "that are missing or changed. With --key, the manifest must be signed by a key of that file. "
    "The exit status is 0 if all is well, 1 if that could not be found out, 3 if something is "
    "missing or changed, and 4 if only the signature is missing, wrong or another's.",
    options,
    run,
};
