#include "recorder/aws/clock_skew.h"

#include <time.h>

#include <curl/curl.h>

/* 2200-01-01. Nobody's clock is there, and 64 bits of nanoseconds end in 2262. */
#define LATEST ((time_t)7258118400)

bool clock_skew_of(const struct http_response *response, const struct clock *clock,
                   int64_t *skew_ns)
{
    char text[64];
    if (!http_header(response, "date", text, sizeof(text)))
        return false;
    time_t server = curl_getdate(text, NULL);
    if (server <= 0 || server > LATEST)
        return false;
    *skew_ns = (int64_t)server * NS_PER_SECOND - clock_wall_ns(clock);
    return true;
}
