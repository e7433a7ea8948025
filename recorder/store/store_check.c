#include <stdio.h>
#include <string.h>

#include "recorder/base/sha256.h"
#include "recorder/base/text.h"
#include "recorder/store/key.h"
#include "recorder/store/store_kind.h"

#define PROBE_NAME "castbucket-check.txt"

/* Always the same bytes under the same key, so that the next check finds its own. */
static const char probe_text[] = "castbucket put this here to check that it can.\n";
#define PROBE_SIZE (sizeof(probe_text) - 1)

struct run {
    struct store *store;
    store_report *report;
    void *context;
    int first;           /* code of the first step that failed */
    struct error *error; /* and its sentence */
};

static void succeeded(const struct run *run, const char *what, const char *permission,
                      const char *detail)
{
    const struct store_check check = {what, permission, 0, detail};
    run->report(run->context, &check);
}

static void failed(struct run *run, const char *what, const char *permission,
                   const struct error *why)
{
    char detail[2048], advice[512] = "";
    run->store->kind->advice(run->store, why->code, permission, advice, sizeof(advice));
    snprintf(detail, sizeof(detail), "%s%s%s", why->text, advice[0] ? ": " : "", advice);
    const struct store_check check = {what, permission, why->code, detail};
    run->report(run->context, &check);
    if (!run->first) {
        run->first = why->code;
        error_set(run->error, why->code, "cannot %s: %s", what, detail);
    }
}

struct received {
    char data[PROBE_SIZE];
    size_t length;
};

static int receive(void *context, const void *data, size_t length)
{
    struct received *received = context;
    if (length > sizeof(received->data) - received->length)
        return ERR_CONFLICT;
    memcpy(received->data + received->length, data, length);
    received->length += length;
    return 0;
}

static bool put_probe(struct run *run, const struct store_object *probe)
{
    char detail[KEY_SIZE + 256];
    struct error why = ERROR_INIT;
    int rc = run->store->kind->put_new(run->store, probe, &why);
    if (rc && rc != ERR_EXISTS) {
        failed(run, "put an object", "s3:PutObject", &why);
        return false;
    }
    snprintf(detail, sizeof(detail), "%s%s%s", run->store->url, probe->key,
             rc ? " was there from an earlier check" : "");
    succeeded(run, "put an object", "s3:PutObject", detail);
    return true;
}

static void read_probe(struct run *run, const struct store_object *probe)
{
    struct error why = ERROR_INIT;
    struct received received = {.length = 0};
    int rc = store_get(run->store, probe->key, 0, 0, receive, &received, &why);
    if (rc == ERR_CONFLICT ||
        (!rc && (received.length != PROBE_SIZE || memcmp(received.data, probe_text, PROBE_SIZE))))
        rc = error_set(&why, ERR_CONFLICT,
                       "%s%s is not what castbucket put there; remove it and check again",
                       run->store->url, probe->key);
    if (rc)
        failed(run, "read it", "s3:GetObject", &why);
    else
        succeeded(run, "read it", "s3:GetObject", "the same bytes came back");
}

struct search {
    const char *key;
    bool found;
};

static int search(void *context, const char *key, uint64_t size)
{
    struct search *sought = context;
    (void)size;
    sought->found = strcmp(key, sought->key) == 0;
    return sought->found;
}

/* Lists by the probe's whole key, not by the organization's: that may hold a million recordings. */
static void list_probe(struct run *run, const struct store_object *probe, bool there)
{
    struct error why = ERROR_INIT;
    struct search sought = {probe->key, false};
    int rc = store_list(run->store, probe->key, search, &sought, &why);
    if (rc == 1)
        rc = 0;
    if (!rc && there && !sought.found)
        rc = error_set(&why, ERR_NOT_FOUND, "the list does not show %s%s, which was just put",
                       run->store->url, probe->key);
    if (rc)
        failed(run, "list objects", "s3:ListBucket", &why);
    else
        succeeded(run, "list objects", "s3:ListBucket",
                  there ? "it is in the list" : "the list was answered");
}

static void put_probe_again(struct run *run, const struct store_object *probe)
{
    struct error why = ERROR_INIT;
    int rc = run->store->kind->put_new(run->store, probe, &why);
    if (rc == ERR_EXISTS)
        succeeded(run, "be refused when putting it again", "",
                  "the store does not overwrite an object that is there");
    else if (rc == 0) /* no failure: store_put() works there, too */
        succeeded(run, "put it again", "",
                  "the store took it although it was asked not to overwrite (If-None-Match), so "
                  "castbucket looks before each put whether something is there");
    else
        failed(run, "put it again", "s3:PutObject", &why);
}

int store_check(struct store *store, void (*report)(void *context, const struct store_check *check),
                void *context, struct error *error)
{
    char key[KEY_SIZE];
    struct error why = ERROR_INIT;
    struct run run = {store, report, context, 0, error};
    bool usable = true;
    run.first = store->kind->check_access(store, report, context, &usable, error);
    if (!usable)
        return run.first;

    int rc = key_prefix(key, store->prefix, store->organization, NULL, &why);
    if (!rc && strlen(key) + sizeof(PROBE_NAME) > sizeof(key))
        rc = error_set(&why, ERR_LIMIT, "the prefix '%.80s...' is too long", store->prefix);
    if (rc) {
        failed(&run, "make a key", "", &why);
        return run.first;
    }
    strcat(key, PROBE_NAME);

    struct store_object probe = {
        .key = key, .content_type = "text/plain", .data = probe_text, .fd = -1, .size = PROBE_SIZE};
    rc = sha256(probe_text, PROBE_SIZE, probe.sha256);
    if (rc)
        return error_set(error, rc, "no memory to check the storage");
    bool there = put_probe(&run, &probe);
    if (there)
        read_probe(&run, &probe);
    list_probe(&run, &probe, there);
    if (there)
        put_probe_again(&run, &probe);
    return run.first;
}
