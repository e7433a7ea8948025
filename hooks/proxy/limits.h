/* What a connection's process may use before anybody has logged in. */
#ifndef CASTBUCKET_PROXY_LIMITS_H
#define CASTBUCKET_PROXY_LIMITS_H

/* Sets limits that the handshake with a stranger does not need to exceed: memory, and the
 * processor's time. Returns 0, or -1 after it was logged. */
int limits_set(void);

/* The person has logged in: memory is bounded by windows and counts of channels from here on. */
void limits_lift(void);

#endif
