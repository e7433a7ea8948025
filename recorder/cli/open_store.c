#include "recorder/cli/open_store.h"

#include <unistd.h>

#include "recorder/base/clock.h"

int open_store(const char *settings_path, const char *organization, struct open_store *opened,
               struct error *error)
{
    *opened = (struct open_store){0};
    int rc = settings_load(settings_path, &opened->settings, error);
    if (rc)
        goto out;
    const struct organization_settings *found = settings_organization(opened->settings,
                                                                      organization);
    if (!found) {
        rc = error_set(error, ERR_NOT_FOUND, "%s: there is no organization '%s'", settings_path,
                       organization);
        goto out;
    }
    char host[256] = "";
    gethostname(host, sizeof(host) - 1);
    if (found->storage.type != STORAGE_DIRECTORY)
        rc = http_client_new(&(struct http_options){0}, &opened->client, error);
    if (!rc)
        rc = store_open(found, opened->client, &clock_system, host, &opened->store, error);
out:
    if (rc)
        close_store(opened);
    return rc;
}

void close_store(struct open_store *opened)
{
    store_free(opened->store);
    http_client_free(opened->client);
    settings_unref(opened->settings);
    *opened = (struct open_store){0};
}
