/* A store refuses requests whose time is more than 15 minutes off; its answer says what time it is.
 */
#ifndef CASTBUCKET_AWS_CLOCK_SKEW_H
#define CASTBUCKET_AWS_CLOCK_SKEW_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/aws/http.h"
#include "recorder/base/clock.h"

/* How far the Date header is ahead of our clock, in nanoseconds. False: there is none, or it is
 * after the year 2199. */
bool clock_skew_of(const struct http_response *response, const struct clock *clock,
                   int64_t *skew_ns);

#endif
