/* What a plugin says of a session, read with care: a host obeys it only where it is said clearly,
 * and what is not known is no permission. */
#ifndef CASTBUCKET_HOOKS_ANSWER_H
#define CASTBUCKET_HOOKS_ANSWER_H

#include <stdbool.h>

#include "plugin/recording_plugin.h"

/* Opens a session. Returns the decision, which is one of enum recording_decision whatever the
 * plugin wrote: RECORDING_RECORD only with a session, and else *session is NULL. The texts of
 * `answer`, which is filled in here altogether, are terminated, one line each, and there is a
 * reason where the decision is RECORDING_REFUSE. */
enum recording_decision answer_of_session_open(const struct recording_plugin *plugin,
                                               struct recording_instance *instance,
                                               const struct recording_session_info *info,
                                               struct recording_session **session,
                                               struct recording_answer *answer);

/* Whether the bytes may be forwarded and the session go on. */
bool answer_allows(int verdict);

/* Makes one line of `text`, which has `size` bytes and may not end in them. */
void answer_one_line(char *text, size_t size);

#endif
