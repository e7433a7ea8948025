/* Times as people write them on a command line. */
#ifndef CASTBUCKET_READ_WHEN_H
#define CASTBUCKET_READ_WHEN_H

#include <stdbool.h>
#include <stdint.h>

/* RFC 3339, a date (midnight UTC), "now", or so long before `now_ns`: 90s, 30m, 2h, 7d, 4w. False
 * if it is none of these. */
bool when_parse(const char *text, int64_t now_ns, int64_t *unix_ns);

#endif
