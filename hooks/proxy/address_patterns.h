/* Lists of addresses, as sshd(8) has them in from="...": patterns separated by commas, each an
 * address, a network such as 192.0.2.0/24, or a wildcard of * and ? over an address's text
 * (inet_ntop(3)'s). An exclamation mark before it excludes what it matches, whatever else does.
 * Host names are no patterns here: nothing is looked up. An IPv4 address inside of an IPv6 one
 * (::ffff:192.0.2.1, a socket that takes both) is that IPv4 address. */
#ifndef CASTBUCKET_PROXY_ADDRESS_PATTERNS_H
#define CASTBUCKET_PROXY_ADDRESS_PATTERNS_H

#include <stdbool.h>
#include <stddef.h>

#define ADDRESS_PATTERNS_MAX 128

/* Returns 0, or -1 and what is wrong with which pattern, unescaped. */
int address_patterns_check(const char *list, char *reason, size_t size);

/* Whether `address`, numeric and without a port, is in the list. An address or a list that cannot
 * be understood: false. */
bool address_patterns_match(const char *list, const char *address);

#endif
