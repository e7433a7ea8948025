#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "recorder/aws/http.h"
#include "recorder/base/text.h"
#include "recorder/cli/commands.h"
#include "recorder/settings/settings.h"
#include "recorder/store/store.h"

static const struct cli_option options[] = {
    {"org", 0, "ORG", "the organization whose storage is tried (required)"},
    {"json", 0, NULL, "print one JSON object a line: what, permission, ok, error, detail"},
    {0},
};

#define LINE_SIZE 1024

struct report {
    bool json;
    unsigned failed, done;
};

static void print_json(const struct store_check *check)
{
    /* json_string() refuses what is not UTF-8, and a server's words may be anything. */
    char detail[LINE_SIZE];
    text_escape(detail, sizeof(detail), check->detail);
    json_t *line = json_pack("{s:s, s:s, s:b, s:s, s:s}", "what", check->what, "permission",
                             check->permission, "ok", check->code == 0, "error",
                             check->code ? error_name(check->code) : "", "detail", detail);
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    printf("%s\n", text ? text : "{\"ok\":false,\"error\":\"no-memory\"}");
    free(text);
    json_decref(line);
}

static void print_text(const struct store_check *check)
{
    char detail[LINE_SIZE];
    text_escape(detail, sizeof(detail), check->detail);
    printf("%-6s  %s", check->code ? "FAILED" : "ok", check->what);
    if (*check->permission)
        printf(" (%s)", check->permission);
    printf("%s%s\n", *detail ? ": " : "", detail);
}

static void report_step(void *context, const struct store_check *check)
{
    struct report *report = context;
    report->done++;
    report->failed += check->code != 0;
    if (report->json)
        print_json(check);
    else
        print_text(check);
    fflush(stdout); /* a step may wait for the network: show those that are done */
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct cli_arguments arguments;
    struct settings *settings = NULL;
    struct http_client *client = NULL;
    struct store *store = NULL;
    struct error error = ERROR_INIT;
    char host[256] = "";
    int rc = cli_parse(command, argc, argv, 0, 0, &arguments);
    if (rc >= 0)
        return rc;
    const char *name = cli_value(command, &arguments, "org");
    if (!name)
        return cli_usage_error(command, "--org ORG is missing");
    struct report report = {.json = cli_value(command, &arguments, "json") != NULL};
    rc = settings_load(arguments.settings, &settings, &error);
    if (rc)
        goto out;
    const struct organization_settings *organization = settings_organization(settings, name);
    if (!organization) {
        rc = error_set(&error, ERR_NOT_FOUND, "%s: there is no organization '%s'",
                       arguments.settings, name);
        goto out;
    }
    if (organization->storage.type != STORAGE_DIRECTORY)
        rc = http_client_new(&(struct http_options){0}, &client, &error);
    if (rc)
        goto out;
    gethostname(host, sizeof(host) - 1);
    rc = store_open(organization, client, &clock_system, host, &store, &error);
    if (!rc)
        rc = store_check(store, report_step, &report, &error);
out:
    store_free(store);
    http_client_free(client);
    settings_unref(settings);
    /* A failed step has said already what is wrong. */
    if (rc && !report.failed)
        return cli_fail(command, &error);
    return rc || report.failed || report.done == 0 ? CLI_FAILED : CLI_OK;
}

const struct cli_command cli_check = {
    "check",
    "",
    "Tries an organization's storage and says what works and what to do about the rest.",
    "Assumes the role, finds the bucket's region, and puts, reads and lists a small probe under "
    "the organization's prefix. The probe stays, always under the same key, because nobody is "
    "granted the permission to delete.",
    options,
    run,
};
