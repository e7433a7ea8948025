/* The spools that sessions write into: one, unless the settings change theirs. */
#include <stdlib.h>
#include <string.h>

#include "plugin/plugin_internal.h"

int plugin_spool(struct recording_instance *instance, const char *path, struct spool **spool,
                 struct error *error)
{
    int rc = 0;
    struct open_spool *entry;
    pthread_mutex_lock(&instance->lock);
    for (entry = instance->spools; entry; entry = entry->next)
        if (!entry->removed && strcmp(spool_path(entry->spool), path) == 0)
            break;
    if (!entry) {
        entry = calloc(1, sizeof(*entry));
        rc = entry ? spool_open(path, &entry->spool, error)
                   : error_set(error, ERR_NO_MEMORY, "no memory to open the spool %s", path);
        if (rc) {
            free(entry);
        } else {
            entry->next = instance->spools;
            instance->spools = entry;
        }
    }
    *spool = rc ? NULL : entry->spool;
    pthread_mutex_unlock(&instance->lock);
    return rc;
}

void plugin_spool_removed(struct recording_instance *instance, const struct spool *spool)
{
    pthread_mutex_lock(&instance->lock);
    for (struct open_spool *entry = instance->spools; entry; entry = entry->next)
        if (entry->spool == spool)
            entry->removed = true;
    pthread_mutex_unlock(&instance->lock);
}

void plugin_spools_free(struct recording_instance *instance)
{
    while (instance->spools) {
        struct open_spool *entry = instance->spools;
        instance->spools = entry->next;
        spool_free(entry->spool);
        free(entry);
    }
}
