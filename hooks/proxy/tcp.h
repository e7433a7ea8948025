/* What both of the proxy's TCP connections need. */
#ifndef CASTBUCKET_PROXY_TCP_H
#define CASTBUCKET_PROXY_TCP_H

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* Keystrokes go at once, and a peer that vanished is noticed within some two minutes. */
static inline void tcp_prepare(int fd)
{
    const int one = 1, idle = 60, interval = 15, count = 4;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

/* libssh makes descriptors block once they are connected, and then a peer that does not read would
 * stop the whole process in send(). It only sends after poll() said that it can, so a descriptor
 * that does not block serves it as well: what does not fit stays in its buffer. */
static inline void tcp_never_block(int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

#endif
