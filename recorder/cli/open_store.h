/* From --settings and --org to an open store. */
#ifndef CASTBUCKET_CLI_OPEN_STORE_H
#define CASTBUCKET_CLI_OPEN_STORE_H

#include "recorder/aws/http.h"
#include "recorder/settings/settings.h"
#include "recorder/store/store.h"

struct open_store {
    struct settings *settings;
    struct http_client *client;
    struct store *store;
};

/* On failure nothing stays open. */
__attribute__((warn_unused_result)) int open_store(const char *settings_path,
                                                   const char *organization,
                                                   struct open_store *opened, struct error *error);

/* A zeroed one may be closed, too. */
void close_store(struct open_store *opened);

#endif
