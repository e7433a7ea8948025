#include "recorder/cli/recording_operand.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "recorder/cli/show.h"

static bool ends_in(const char *word, const char *suffix)
{
    size_t length = strlen(word), wanted = strlen(suffix);
    return length > wanted && strcmp(word + length - wanted, suffix) == 0;
}

static bool is_file(const char *word, const char *organization)
{
    return strchr(word, '/') || ends_in(word, ".cast") || ends_in(word, ".cast.gz") ||
           (!organization && access(word, F_OK) == 0);
}

static int open_file(const char *word, struct recording_operand *operand)
{
    operand->source.path = strcmp(word, "-") == 0 ? "/dev/stdin" : word;
    return -1;
}

/* A recording can be read without its manifest; it only cannot be verified. */
static int read_manifest(struct recording_operand *operand, struct error *error)
{
    int rc = recording_manifest(operand->opened.store, operand->key, &operand->manifest,
                                &operand->manifest_text, error);
    if (rc != ERR_DAMAGED && rc != ERR_LIMIT)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    error_prefix(error, "%s%s", store_url(operand->opened.store), operand->key);
    operand->manifest_error = *error;
    operand->manifest_error.code = ERR_DAMAGED;
    return 0;
}

int recording_operand_open(const struct cli_command *command, const char *settings_path,
                           const char *organization, const char *word,
                           struct recording_operand *operand)
{
    struct error error = ERROR_INIT;
    bool is_manifest;
    *operand = (struct recording_operand){.manifest_text = BUFFER_INIT(MANIFEST_MAX_SIZE)};
    if (strcmp(word, "-") == 0 || is_file(word, organization))
        return open_file(word, operand);
    if (!organization)
        return cli_usage_error(command, "--org ORG is missing, and there is no file '%s'", word);
    if (open_store(settings_path, organization, &operand->opened, &error) ||
        recording_find(operand->opened.store, organization, word, operand->key,
                       sizeof(operand->key), &error))
        return cli_fail(command, &error);
    if (!key_parse(operand->key, operand->id, &is_manifest))
        return cli_usage_error(command, "'%s' is not a recording", operand->key);
    if (read_manifest(operand, &error))
        return cli_fail(command, &error);
    if (sha256_init(&operand->digest)) {
        error_set(&error, ERR_NO_MEMORY, "no memory to compute a checksum");
        return cli_fail(command, &error);
    }
    operand->source = (struct recording_source){.store = operand->opened.store,
                                                .key = operand->key,
                                                .digest = &operand->digest,
                                                .size = &operand->size};
    return -1;
}

int recording_operand_verify(const struct cli_command *command, struct recording_operand *operand,
                             struct error *error)
{
    uint8_t sha256[SHA256_SIZE];
    if (!operand->source.store)
        return 0;
    if (operand->manifest_error.code) {
        *error = operand->manifest_error;
        return error->code;
    }
    if (!operand->manifest) {
        fprintf(stderr,
                "castbucket %s: %s has no manifest yet, so nothing says whether it is whole: its "
                "upload may be under way\n",
                command->name, operand->id);
        return 0;
    }
    if (sha256_final(&operand->digest, sha256))
        return error_set(error, ERR_NO_MEMORY, "no memory to compute a checksum");
    if (operand->size != operand->manifest->size)
        return error_set(error, ERR_DAMAGED, "%s%s has %llu bytes, but its manifest says %llu",
                         store_url(operand->opened.store), operand->key,
                         (unsigned long long)operand->size,
                         (unsigned long long)operand->manifest->size);
    if (memcmp(sha256, operand->manifest->sha256, sizeof(sha256)) != 0)
        return error_set(error, ERR_DAMAGED,
                         "%s%s does not have the SHA-256 that its manifest says: it was changed "
                         "after it was recorded",
                         store_url(operand->opened.store), operand->key);
    return 0;
}

void recording_operand_close(struct recording_operand *operand)
{
    sha256_free(&operand->digest);
    manifest_free(operand->manifest);
    buffer_free(&operand->manifest_text);
    operand->manifest = NULL;
    close_store(&operand->opened);
}
