/* The file `usage` of a spool: a page with a struct space_used, mapped. For spool.c only. */
#ifndef CASTBUCKET_SPOOL_SPOOL_USAGE_H
#define CASTBUCKET_SPOOL_SPOOL_USAGE_H

#include "recorder/base/space.h"

/* Maps it, and makes it before if there is none. NULL when it cannot be, as on a full disk. */
struct space_used *spool_usage_open(int root);
void spool_usage_close(struct space_used *used); /* NULL does nothing */

#endif
