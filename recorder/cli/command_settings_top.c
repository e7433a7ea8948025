/* The commands that set one key at the top of the file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "recorder/cli/command_settings.h"
#include "recorder/cli/commands.h"
#include "recorder/seal/signature.h"
#include "recorder/settings/settings_edit.h"

static const struct cli_option no_options[] = {{0}};

struct edit {
    const char *key;
    json_t *value; /* owned until it is in the tree; "" takes the key away */
};

static int change(void *context, json_t *root, struct error *error)
{
    struct edit *edit = context;
    if (json_string_length(edit->value) == 0 && json_is_string(edit->value)) {
        json_object_del(root, edit->key);
        return 0;
    }
    return settings_edit_set(root, edit->key, json_incref(edit->value), error);
}

/* Takes `value` over. */
static int set(const struct cli_command *command, const struct cli_arguments *arguments,
               const char *key, json_t *value)
{
    struct error error = ERROR_INIT;
    struct edit edit = {key, value};
    int rc = value ? settings_edit(arguments->settings, change, &edit, &error)
                   : error_set(&error, ERR_NO_MEMORY, "no memory");
    json_decref(value);
    return rc ? cli_fail(command, &error) : CLI_OK;
}

/* A command whose one operand is the key's text. */
static int set_text(const struct cli_command *command, int argc, char **argv, const char *key)
{
    struct cli_arguments arguments;
    int rc = cli_parse(command, argc, argv, 1, 1, &arguments);
    if (rc < 0)
        rc = settings_check_words(command, &arguments);
    if (rc >= 0)
        return rc;
    return set(command, &arguments, key, json_string(arguments.operand[0]));
}

static int run_spool(const struct cli_command *command, int argc, char **argv)
{
    return set_text(command, argc, argv, "spool");
}

static int run_spool_quota(const struct cli_command *command, int argc, char **argv)
{
    return set_text(command, argc, argv, "spool_quota");
}

static int run_cast_version(const struct cli_command *command, int argc, char **argv)
{
    struct cli_arguments arguments;
    int rc = cli_parse(command, argc, argv, 1, 1, &arguments);
    if (rc >= 0)
        return rc;
    const char *version = arguments.operand[0];
    if (!settings_choice(settings_key_find(&settings_place_top, "cast_version")->values, version))
        return cli_usage_error(command, "'%s' is not one of 2|3", version);
    return set(command, &arguments, "cast_version", json_integer(atoi(version)));
}

/* The recorder runs as the spool's owner, and must be able to read it. */
static void look_at_owner(const struct cli_command *command, const char *path, const char *spool)
{
    struct stat key, recorder;
    if (stat(path, &key) == 0 && stat(spool, &recorder) == 0 && key.st_uid != recorder.st_uid &&
        recorder.st_uid != 0)
        fprintf(stderr,
                "castbucket %s: the recorder, which runs as the owner of %s (user %ld), cannot "
                "read %s: chown it\n",
                command->name, spool, (long)recorder.st_uid, path);
}

/* The key of the settings' file, made first if that is asked for, and then tried. */
static int look_at_key(const struct cli_command *command, const char *settings_path,
                       const char *path, bool generate)
{
    struct signing_key *key;
    struct settings *settings = NULL;
    struct error error = ERROR_INIT;
    const char *spool = settings_key_find(&settings_place_top, "spool")->fallback;
    if (settings_load(settings_path, &settings, NULL) == 0)
        spool = settings_spool(settings);
    int rc = generate ? signing_key_generate(path, spool, &key, &error)
                      : signing_key_load(path, &key, &error);
    if (!rc)
        look_at_owner(command, path, spool);
    if (settings)
        settings_unref(settings);
    if (rc)
        return cli_fail(command, &error);
    printf("%s %s\n", signing_key_id(key), path);
    if (generate)
        printf("its public part, for those who verify, is in %s.pub\n", path);
    signing_key_free(key);
    return -1;
}

static const struct cli_option signing_key_options[] = {
    {"generate", 0, NULL, "make a new key in FILE, and its public part in FILE.pub"},
    {"remove", 0, NULL, "sign no more"},
    {0},
};

static int run_signing_key(const struct cli_command *command, int argc, char **argv)
{
    struct cli_arguments arguments;
    int rc = cli_parse(command, argc, argv, 0, 1, &arguments);
    if (rc < 0)
        rc = settings_check_words(command, &arguments);
    if (rc >= 0)
        return rc;
    bool removes = cli_value(command, &arguments, "remove") != NULL;
    bool generate = cli_value(command, &arguments, "generate") != NULL;
    const char *path = arguments.operand_count ? arguments.operand[0] : "";
    if (removes == (arguments.operand_count > 0) || (removes && generate))
        return cli_usage_error(command, "give either FILE or --remove");
    if (!removes && path[0] != '/')
        return cli_usage_error(command, "'%s' must be an absolute path", path);
    if (!removes)
        rc = look_at_key(command, arguments.settings, path, generate);
    return rc >= 0 ? rc : set(command, &arguments, "signing_key", json_string(path));
}

const struct cli_command cli_settings_signing_key = {
    "settings signing-key",
    "[FILE]",
    "Sets the key that manifests of new recordings are signed with.",
    "FILE is an Ed25519 private key in PEM without a password, such as openssl genpkey -algorithm "
    "ed25519 makes; only the recorder may be able to read it. One that root makes here belongs to "
    "the spool's owner, who runs the recorder. Prints the key's id. Once it is set, a recording is "
    "not completed without it: when the file cannot be read, recordings wait "
    "and the recorder says why.",
    signing_key_options,
    run_signing_key,
};

const struct cli_command cli_settings_spool = {
    "settings spool",
    "DIR",
    "Sets the directory where recordings wait until they are stored.",
    "Hosts and recorder must both be able to write there. What waits in another spool stays "
    "there: empty it with 'castbucket recorder --once' before.",
    no_options,
    run_spool,
};

const struct cli_command cli_settings_spool_quota = {
    "settings spool-quota",
    "SIZE|N%",
    "Sets the most that the spool may take.",
    "A part of its file system, such as 80%, or a size, such as 20G. When it is reached, which a "
    "long outage of a bucket can bring about, each socket's on_failure decides; uploads make "
    "space. The recorder itself may go beyond it, to complete what is there.",
    no_options,
    run_spool_quota,
};

const struct cli_command cli_settings_cast_version = {
    "settings cast-version",
    "2|3",
    "Sets the asciicast version of new recordings.",
    "Every player reads version 2; version 3 needs asciinema 3 or a recent player.",
    no_options,
    run_cast_version,
};
