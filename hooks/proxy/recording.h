/* One session's dealings with the plugin: a session that is not recorded takes the same calls. */
#ifndef CASTBUCKET_PROXY_RECORDING_H
#define CASTBUCKET_PROXY_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plugin/recording_plugin.h"

struct recording {
    const struct recording_plugin *plugin;
    struct recording_session *session; /* NULL: not recorded, or closed */
    bool degraded;                     /* was logged */
    char id[64];
};

/* Asks the plugin. Returns 0 when the session may run (recorded or not), or -1 when it must not;
 * `reason` then says why, on one printable line. */
int recording_open(struct recording *recording, const struct recording_plugin *plugin,
                   struct recording_instance *instance, const struct recording_session_info *info,
                   char *reason, size_t size);

/* These return 0 to go on, or -1: the session must end, and the bytes must not be forwarded. */
int recording_output(struct recording *recording, int stream, const void *data, size_t length);
int recording_input(struct recording *recording, const void *data, size_t length);
int recording_resize(struct recording *recording, uint32_t columns, uint32_t rows);
int recording_marker(struct recording *recording, const char *label);

/* Completes the recording. May be called again, and does nothing then. */
void recording_close(struct recording *recording, const struct recording_exit *how);

#endif
