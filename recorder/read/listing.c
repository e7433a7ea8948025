#include "recorder/read/listing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/base/id.h"
#include "recorder/store/key.h"

struct reading {
    const struct recording_query *query;
    struct listing *listing;
    size_t capacity;
    struct error *error;
};

static bool in_time(const struct recording_query *query, const char *id)
{
    int64_t made = id_time_ns(id);
    return (!query->since_ns || made >= query->since_ns - LISTING_SLACK_NS) &&
           (!query->until_ns || made < query->until_ns + LISTING_SLACK_NS);
}

static int add(struct reading *reading, const char *key, size_t stem)
{
    struct listing *listing = reading->listing;
    if (listing->count == LISTING_MAX)
        return error_set(reading->error, ERR_LIMIT,
                         "more than %zu recordings: ask for one socket, or less time", LISTING_MAX);
    if (listing->count == reading->capacity) {
        size_t larger = reading->capacity ? reading->capacity * 2 : 64;
        struct listing_entry *grown = reallocarray(listing->entries, larger, sizeof(*grown));
        if (!grown)
            return error_set(reading->error, ERR_NO_MEMORY, "no memory for the list");
        listing->entries = grown;
        reading->capacity = larger;
    }
    char *name = NULL;
    if (asprintf(&name, "%.*s%s", (int)stem, key, KEY_CAST_SUFFIX) < 0)
        return error_set(reading->error, ERR_NO_MEMORY, "no memory for the list");
    listing->entries[listing->count++] = (struct listing_entry){.key = name,
                                                                .id = name + stem - (ID_SIZE - 1)};
    return 0;
}

/* ID.cast.gz and ID.json come one after the other, with nothing of ours between them. */
static int take_object(void *context, const char *key, uint64_t size)
{
    struct reading *reading = context;
    struct listing *listing = reading->listing;
    char id[ID_SIZE];
    bool is_manifest;
    if (!key_parse(key, id, &is_manifest) || !in_time(reading->query, id))
        return 0;
    size_t stem = strlen(key) - strlen(is_manifest ? KEY_MANIFEST_SUFFIX : KEY_CAST_SUFFIX);
    struct listing_entry *last = listing->count ? &listing->entries[listing->count - 1] : NULL;
    if (!last || strncmp(last->key, key, stem) != 0 || strcmp(last->key + stem, KEY_CAST_SUFFIX)) {
        int rc = add(reading, key, stem);
        if (rc)
            return rc;
        last = &listing->entries[listing->count - 1];
    }
    if (is_manifest) {
        last->has_manifest = true;
        last->manifest_size = size;
    } else {
        last->has_cast = true;
        last->cast_size = size;
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    const struct listing_entry *left = a, *right = b;
    int order = memcmp(left->id, right->id, ID_SIZE - 1);
    return order ? order : strcmp(left->key, right->key);
}

int listing_read(struct store *store, const struct recording_query *query, struct listing *listing,
                 struct error *error)
{
    char prefix[KEY_SIZE];
    *listing = (struct listing){0};
    struct reading reading = {.query = query, .listing = listing, .error = error};
    int rc = key_prefix(prefix, store_prefix(store), query->organization, query->socket, error);
    if (!rc)
        rc = store_list(store, prefix, take_object, &reading, error);
    if (rc) {
        listing_free(listing);
        return rc;
    }
    if (listing->count)
        qsort(listing->entries, listing->count, sizeof(*listing->entries), compare);
    return 0;
}

void listing_free(struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++)
        free(listing->entries[i].key);
    free(listing->entries);
    *listing = (struct listing){0};
}
