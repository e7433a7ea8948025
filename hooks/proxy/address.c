#include "hooks/proxy/address.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

void address_of_socket(char text[ADDRESS_TEXT_SIZE], int fd, enum address_end end)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    char host[64], port[8];
    int rc = end == ADDRESS_PEER ? getpeername(fd, (struct sockaddr *)&address, &length)
                                 : getsockname(fd, (struct sockaddr *)&address, &length);
    if (rc < 0 || getnameinfo((struct sockaddr *)&address, length, host, sizeof(host), port,
                              sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        snprintf(text, ADDRESS_TEXT_SIZE, "unknown");
    else
        snprintf(text, ADDRESS_TEXT_SIZE, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

void address_without_port(char host[ADDRESS_TEXT_SIZE], const char *text)
{
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : strlen(text);
    if (length >= 2 && *text == '[' && text[length - 1] == ']') {
        text++;
        length -= 2;
    }
    snprintf(host, ADDRESS_TEXT_SIZE, "%.*s", (int)length, text);
}
