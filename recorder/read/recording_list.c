#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/base/clock.h"
#include "recorder/base/id.h"
#include "recorder/read/listing.h"
#include "recorder/read/manifest_fetch.h"
#include "recorder/read/recording.h"

/* Not about one recording: the next one would fail in the same way. */
static bool ends_the_list(int code)
{
    return code == ERR_RETRY || code == ERR_CANCELLED || code == ERR_NO_MEMORY;
}

/* The manifest's time counts; the id's only chose what to fetch. */
static bool in_time(const struct recording_query *query, const char *id,
                    const struct manifest *manifest)
{
    int64_t started = manifest ? manifest->started_ns : id_time_ns(id);
    return (!query->since_ns || started >= query->since_ns) &&
           (!query->until_ns || started < query->until_ns);
}

static void compare_with_object(const struct listing_entry *entry, const struct manifest *manifest,
                                struct error *why)
{
    if (!entry->has_cast)
        error_set(why, ERR_DAMAGED, "the manifest is there, but the recording is not");
    else if (manifest && manifest->size != entry->cast_size)
        error_set(why, ERR_DAMAGED, "%llu bytes are stored, but the manifest says %llu",
                  (unsigned long long)entry->cast_size, (unsigned long long)manifest->size);
}

static int give(const struct recording_query *query, const struct listing_entry *entry,
                const struct manifest *manifest, struct error *why, recording_fn *each,
                void *context, struct error *error)
{
    char id[ID_SIZE];
    snprintf(id, sizeof(id), "%.*s", ID_SIZE - 1, entry->id);
    if (!in_time(query, id, manifest))
        return 0;
    if (why->code == ERR_NOT_FOUND) /* it went away since the listing */
        *why = ERROR_INIT;
    if (!why->code)
        compare_with_object(entry, manifest, why);
    return each(context, entry->key, id, entry->cast_size, manifest, why->code ? why->text : NULL,
                error);
}

int recording_list(struct store *store, const struct recording_query *query, recording_fn *each,
                   void *context, struct error *error)
{
    struct listing listing;
    struct manifest_fetch *fetch = NULL;
    int rc = listing_read(store, query, &listing, error);
    if (rc)
        return rc;
    rc = manifest_fetch_new(store, &listing, &fetch, error);
    for (size_t i = 0; !rc && i < listing.count; i++) {
        struct manifest *manifest;
        struct error why;
        manifest_fetch_next(fetch, &manifest, &why);
        if (ends_the_list(why.code)) {
            rc = why.code;
            if (error)
                *error = why;
        } else {
            rc = give(query, &listing.entries[i], manifest, &why, each, context, error);
        }
        manifest_free(manifest);
    }
    manifest_fetch_free(fetch);
    listing_free(&listing);
    return rc;
}
