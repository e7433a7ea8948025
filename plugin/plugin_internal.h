/* What the plugin's files share; nothing of it crosses the line to the host. */
#ifndef CASTBUCKET_PLUGIN_INTERNAL_H
#define CASTBUCKET_PLUGIN_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>

#include "plugin/recording_plugin.h"
#include "recorder/base/error.h"
#include "recorder/base/log.h"
#include "recorder/service/recorder.h"
#include "recorder/settings/settings.h"
#include "recorder/spool/spool.h"

/* A spool that sessions write into. Kept open until destroy: journals use its descriptors. */
struct open_spool {
    struct spool *spool;
    bool removed; /* somebody removed the directory; new sessions open it again */
    struct open_spool *next;
};

struct recording_instance {
    const struct recording_host *host;
    struct log_output log;
    char *settings_path; /* absolute, because the host may change its working directory */
    struct settings_watch *watch;
    pthread_mutex_t lock; /* guards what follows */
    struct open_spool *spools;
    char settings_problem[1024]; /* as logged last, so that it is logged once */

    /* start and quiesce only, which are one thread's at a time */
    void *library;
    const struct recorder_library *recorder_library;
    struct recorder *recorder;
};

/* plugin_spool.c: the spool at `path`, opened at first use; lives until plugin_spools_free(). Any
 * thread. */
__attribute__((warn_unused_result)) int plugin_spool(struct recording_instance *instance,
                                                     const char *path, struct spool **spool,
                                                     struct error *error);
/* The spool's directory is gone: the next plugin_spool() makes it again. */
void plugin_spool_removed(struct recording_instance *instance, const struct spool *spool);
void plugin_spools_free(struct recording_instance *instance);

/* plugin_recorder.c: the recorder's half, loaded from beside this library. */
int plugin_start(struct recording_instance *instance, struct recording_error *error);
int plugin_quiesce(struct recording_instance *instance, uint32_t milliseconds,
                   struct recording_error *error);

/* plugin_session.c */
void plugin_session_open(struct recording_instance *instance,
                         const struct recording_session_info *info,
                         struct recording_session **session, struct recording_answer *answer);
int plugin_output(struct recording_session *session, int stream, const void *data, size_t length);
int plugin_input(struct recording_session *session, const void *data, size_t length);
int plugin_resize(struct recording_session *session, uint32_t columns, uint32_t rows);
int plugin_marker(struct recording_session *session, const char *label);
int plugin_session_close(struct recording_session *session, const struct recording_exit *how);

/* castbucket_plugin.c */
void plugin_log(void *host, int level, const char *line);
/* Hands an error to the host; returns -1. */
int plugin_fail(struct recording_error *to, const struct error *error);

#endif
