/* Socket addresses as text. */
#ifndef CASTBUCKET_PROXY_ADDRESS_H
#define CASTBUCKET_PROXY_ADDRESS_H

#define ADDRESS_TEXT_SIZE 80

enum address_end { ADDRESS_LOCAL, ADDRESS_PEER };

/* "192.0.2.1:22" or "[2001:db8::1]:22"; "unknown" when it cannot be had. */
void address_of_socket(char text[ADDRESS_TEXT_SIZE], int fd, enum address_end end);

/* The host of such a text, without brackets. */
void address_without_port(char host[ADDRESS_TEXT_SIZE], const char *text);

#endif
