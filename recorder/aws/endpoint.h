/* Where a service answers: http(s)://host[:port], taken apart. */
#ifndef CASTBUCKET_AWS_ENDPOINT_H
#define CASTBUCKET_AWS_ENDPOINT_H

#include "recorder/base/error.h"

struct aws_endpoint {
    char scheme[8]; /* "http" or "https" */
    char host[300]; /* as the Host header has it: lower case, with the port unless the default */
};

/* Reads http(s)://host[:port] with at most a '/' behind; a user, a path or a query in it is
 * ERR_INVALID. */
__attribute__((warn_unused_result)) int aws_endpoint_parse(struct aws_endpoint *endpoint,
                                                           const char *url, struct error *error);

/* AWS's own: https, {service}.{region}.amazonaws.com, or .com.cn in China's partition. */
__attribute__((warn_unused_result)) int aws_endpoint_of(struct aws_endpoint *endpoint,
                                                        const char *service, const char *region,
                                                        struct error *error);

#endif
