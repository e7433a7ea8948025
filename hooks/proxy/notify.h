/* What the service manager is told: the protocol of sd_notify(3), whose few bytes need no library.
 */
#ifndef CASTBUCKET_PROXY_NOTIFY_H
#define CASTBUCKET_PROXY_NOTIFY_H

/* Sends one line, or several, such as "READY=1\nSTATUS=..." to $NOTIFY_SOCKET. Without one, or when
 * nobody takes it, nothing happens. */
void notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* RELOADING=1 with the time that systemd wants with it. */
void notify_reloading(void);

/* How many milliseconds may pass between two calls of notify_alive(); -1: nobody watches. */
int notify_interval_ms(void);
void notify_alive(void);

#endif
