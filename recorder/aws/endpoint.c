#include "recorder/aws/endpoint.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_host(const char *host, size_t length)
{
    if (length == 0)
        return false;
    bool bracketed = host[0] == '[';
    for (size_t i = 0; i < length; i++) {
        char c = host[i];
        bool end = bracketed && (i == 0 || i == length - 1);
        if (end ? c != (i ? ']' : '[')
                : !(isalnum((unsigned char)c) || c == '.' || c == '-' || c == '_' ||
                    (bracketed && c == ':')))
            return false;
    }
    return true;
}

int aws_endpoint_parse(struct aws_endpoint *endpoint, const char *url, struct error *error)
{
    bool tls = strncasecmp(url, "https://", 8) == 0;
    if (!tls && strncasecmp(url, "http://", 7) != 0)
        return error_set(error, ERR_INVALID,
                         "the endpoint '%.200s' does not start with http:// or https://", url);
    const char *host = url + (tls ? 8 : 7);
    size_t length = strcspn(host, "/?#");
    const char *rest = host + length;
    size_t name = length;
    while (name && isdigit((unsigned char)host[name - 1]))
        name--;
    long port = 0;
    if (name && name < length && host[name - 1] == ':') {
        port = length - name <= 5 ? strtol(host + name, NULL, 10) : 0;
        if (port < 1 || port > 65535)
            return error_set(error, ERR_INVALID, "the endpoint '%.200s' has an impossible port",
                             url);
        name--;
    } else {
        name = length;
    }
    if (!is_host(host, name) || name > 255 || (rest[0] && strcmp(rest, "/") != 0))
        return error_set(error, ERR_INVALID,
                         "the endpoint '%.200s' is not of the form https://host[:port]", url);
    snprintf(endpoint->scheme, sizeof(endpoint->scheme), "%s", tls ? "https" : "http");
    for (size_t i = 0; i < name; i++)
        endpoint->host[i] = (char)tolower((unsigned char)host[i]);
    endpoint->host[name] = '\0';
    /* Clients leave the default port out of the Host header, and that header is signed. */
    if (port && port != (tls ? 443 : 80))
        snprintf(endpoint->host + name, sizeof(endpoint->host) - name, ":%ld", port);
    return 0;
}

int aws_endpoint_of(struct aws_endpoint *endpoint, const char *service, const char *region,
                    struct error *error)
{
    size_t length = strlen(region);
    if (length == 0 || length > 63 || !is_host(region, length) || region[0] == '[')
        return error_set(error, ERR_INVALID, "'%.80s' is not the name of a region", region);
    snprintf(endpoint->scheme, sizeof(endpoint->scheme), "https");
    snprintf(endpoint->host, sizeof(endpoint->host), "%s.%s.amazonaws.com%s", service, region,
             strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
    return 0;
}
