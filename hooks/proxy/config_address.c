#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hooks/proxy/config.h"

int address_parse(struct address *address, const char *text, int lowest_port)
{
    const char *colon = strrchr(text, ':'), *start = text;
    if (!colon || colon == text)
        return -1;
    size_t length = (size_t)(colon - text);
    if (*text == '[') {
        if (length < 3 || text[length - 1] != ']')
            return -1;
        start++;
        length -= 2;
    } else if (memchr(text, ':', length)) {
        return -1;
    }
    if (length >= sizeof(address->host) || strlen(colon + 1) >= sizeof(address->port))
        return -1;
    for (size_t i = 0; i < length; i++)
        if (start[i] <= ' ' || start[i] == '@' || start[i] == '/')
            return -1;
    if (!colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1))
        return -1;
    long port = strtol(colon + 1, NULL, 10);
    if (port < lowest_port || port > 65535)
        return -1;
    memcpy(address->host, start, length);
    address->host[length] = '\0';
    snprintf(address->port, sizeof(address->port), "%u", (unsigned)port & 0xffff);
    return 0;
}

bool config_is_destination(const char *text)
{
    struct address address;
    char copy[CONFIG_MAX_DESTINATION];
    size_t length = strlen(text);
    if (length >= sizeof(copy))
        return false;
    memcpy(copy, text, length + 1);
    if (length > 2 && strcmp(text + length - 2, ":*") == 0)
        copy[length - 1] = '1';
    return address_parse(&address, copy, 1) == 0;
}

static bool permits(const char *entry, const char *host, unsigned port)
{
    const char *colon = strrchr(entry, ':');
    if (!colon)
        return false;
    if (strcmp(colon + 1, "*") != 0 && strtoul(colon + 1, NULL, 10) != port)
        return false;
    size_t length = (size_t)(colon - entry);
    if (length == 1 && *entry == '*')
        return true;
    if (length >= 2 && *entry == '[' && colon[-1] == ']') {
        entry++;
        length -= 2;
    }
    return strlen(host) == length && strncasecmp(entry, host, length) == 0;
}

bool config_permits(const char *const *list, size_t count, const char *host, unsigned port)
{
    for (size_t i = 0; i < count; i++)
        if (permits(list[i], host, port))
            return true;
    return count == 0;
}
