#include "recorder/settings/settings.h"

#include <stdlib.h>
#include <string.h>

#include "recorder/settings/settings_internal.h"

int settings_compare_names(const void *a, const void *b)
{
    const char *const *const *left = a, *const *const *right = b;
    return strcmp(**left, **right);
}

_Static_assert(offsetof(struct organization_settings, name) == 0 &&
                   offsetof(struct socket_settings, name) == 0,
               "settings_compare_names() reads the name as the first member");

struct settings *settings_ref(struct settings *settings)
{
    atomic_fetch_add_explicit(&settings->references, 1, memory_order_relaxed);
    return settings;
}

void settings_unref(struct settings *settings)
{
    if (!settings || atomic_fetch_sub_explicit(&settings->references, 1, memory_order_acq_rel) != 1)
        return;
    free(settings->organizations);
    free(settings->sockets);
    free(settings->organizations_by_name);
    free(settings->sockets_by_name);
    json_decref(settings->root);
    free(settings);
}

const char *settings_spool(const struct settings *settings)
{
    return settings->top.spool;
}

const char *settings_spool_quota(const struct settings *settings)
{
    return settings->top.spool_quota;
}

struct space_quota settings_quota(const struct settings *settings)
{
    struct space_quota quota = {0};
    (void)settings_quota_of(settings->top.spool_quota,
                            &quota); /* it was checked when it was read */
    return quota;
}

int settings_cast_version(const struct settings *settings)
{
    return settings->top.cast_version;
}

const char *settings_signing_key(const struct settings *settings)
{
    return settings->top.signing_key;
}

const struct organization_settings *settings_organization(const struct settings *settings,
                                                          const char *name)
{
    struct organization_settings wanted = {.name = name};
    const struct organization_settings *key = &wanted, **found = NULL;
    if (settings->organization_count)
        found = bsearch(&key, settings->organizations_by_name, settings->organization_count,
                        sizeof(*settings->organizations_by_name), settings_compare_names);
    return found ? *found : NULL;
}

const struct socket_settings *settings_socket(const struct settings *settings, const char *name)
{
    struct socket_settings wanted = {.name = name};
    const struct socket_settings *key = &wanted, **found = NULL;
    if (settings->socket_count)
        found = bsearch(&key, settings->sockets_by_name, settings->socket_count,
                        sizeof(*settings->sockets_by_name), settings_compare_names);
    return found ? *found : NULL;
}

const struct organization_settings *settings_organization_at(const struct settings *settings,
                                                             size_t index)
{
    return index < settings->organization_count ? &settings->organizations[index] : NULL;
}

const struct socket_settings *settings_socket_at(const struct settings *settings, size_t index)
{
    return index < settings->socket_count ? &settings->sockets[index] : NULL;
}
