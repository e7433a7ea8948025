#include "recorder/read/manifest_fetch.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct slot {
    bool ready;
    struct manifest *manifest;
    struct error why;
};

struct manifest_fetch {
    struct store *store;
    const struct listing *listing;
    pthread_mutex_t lock; /* for all below */
    pthread_cond_t changed;
    size_t taken;     /* entries that a thread has begun */
    size_t given;     /* entries handed out */
    uint64_t holding; /* bytes of JSON between the two */
    bool stop;
    struct slot slots[MANIFEST_FETCH_AHEAD]; /* of entry i: slots[i % AHEAD] */
    pthread_t threads[MANIFEST_FETCH_THREADS];
    int thread_count;
};

static uint64_t cost(const struct manifest_fetch *fetch, size_t index)
{
    return fetch->listing->entries[index].manifest_size;
}

/* A single large one may pass alone. */
static bool may_take(const struct manifest_fetch *fetch)
{
    return fetch->taken - fetch->given < MANIFEST_FETCH_AHEAD &&
           (fetch->holding == 0 ||
            fetch->holding + cost(fetch, fetch->taken) <= MANIFEST_FETCH_MEMORY);
}

static void fetch_one(const struct manifest_fetch *fetch, const struct listing_entry *entry,
                      struct manifest **manifest, struct error *why)
{
    if (!entry->has_manifest)
        return;
    if (entry->manifest_size > MANIFEST_MAX_SIZE) {
        error_set(why, ERR_LIMIT, "the manifest is larger than %zu bytes", MANIFEST_MAX_SIZE);
        return;
    }
    int rc = recording_manifest(fetch->store, entry->key, manifest, NULL, why);
    why->code = rc;
}

static void *work(void *context)
{
    struct manifest_fetch *fetch = context;
    pthread_mutex_lock(&fetch->lock);
    while (!fetch->stop && fetch->taken < fetch->listing->count) {
        if (!may_take(fetch)) {
            pthread_cond_wait(&fetch->changed, &fetch->lock);
            continue;
        }
        size_t index = fetch->taken++;
        fetch->holding += cost(fetch, index);
        pthread_mutex_unlock(&fetch->lock);

        struct manifest *manifest = NULL;
        struct error why = ERROR_INIT;
        fetch_one(fetch, &fetch->listing->entries[index], &manifest, &why);

        pthread_mutex_lock(&fetch->lock);
        fetch->slots[index % MANIFEST_FETCH_AHEAD] = (struct slot){true, manifest, why};
        pthread_cond_broadcast(&fetch->changed);
    }
    pthread_mutex_unlock(&fetch->lock);
    return NULL;
}

int manifest_fetch_new(struct store *store, const struct listing *listing,
                       struct manifest_fetch **fetch, struct error *error)
{
    struct manifest_fetch *new = calloc(1, sizeof(*new));
    if (!new)
        return error_set(error, ERR_NO_MEMORY, "no memory to fetch manifests");
    new->store = store;
    new->listing = listing;
    pthread_mutex_init(&new->lock, NULL);
    pthread_cond_init(&new->changed, NULL);

    /* Signals are for the thread that asked. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int number = 0;
    while (new->thread_count < MANIFEST_FETCH_THREADS &&
           (size_t) new->thread_count < listing->count) {
        number = pthread_create(&new->threads[new->thread_count], NULL, work, new);
        if (number)
            break;
        new->thread_count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (listing->count && !new->thread_count) {
        manifest_fetch_free(new);
        return error_set(error, ERR_SYSTEM, "cannot start a thread: %s", strerror(number));
    }
    *fetch = new;
    return 0;
}

void manifest_fetch_next(struct manifest_fetch *fetch, struct manifest **manifest,
                         struct error *why)
{
    pthread_mutex_lock(&fetch->lock);
    struct slot *slot = &fetch->slots[fetch->given % MANIFEST_FETCH_AHEAD];
    while (!slot->ready)
        pthread_cond_wait(&fetch->changed, &fetch->lock);
    *manifest = slot->manifest;
    *why = slot->why;
    *slot = (struct slot){0};
    fetch->holding -= cost(fetch, fetch->given);
    fetch->given++;
    pthread_cond_broadcast(&fetch->changed);
    pthread_mutex_unlock(&fetch->lock);
}

void manifest_fetch_free(struct manifest_fetch *fetch)
{
    if (!fetch)
        return;
    pthread_mutex_lock(&fetch->lock);
    fetch->stop = true;
    pthread_cond_broadcast(&fetch->changed);
    pthread_mutex_unlock(&fetch->lock);
    for (int i = 0; i < fetch->thread_count; i++)
        pthread_join(fetch->threads[i], NULL);
    for (size_t i = 0; i < MANIFEST_FETCH_AHEAD; i++)
        manifest_free(fetch->slots[i].manifest);
    pthread_mutex_destroy(&fetch->lock);
    pthread_cond_destroy(&fetch->changed);
    free(fetch);
}
