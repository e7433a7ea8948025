/* Numbers as a person reads them. Text from a bucket or a recording: text_escape(). */
#ifndef CASTBUCKET_CLI_SHOW_H
#define CASTBUCKET_CLI_SHOW_H

#include <stddef.h>
#include <stdint.h>

#define SHOW_TEXT_SIZE 4096 /* for a line of a table or a message */
#define SHOW_NUMBER_SIZE 24

/* 512 B, 1.5 KiB, 23 MiB. */
void show_size(char to[SHOW_NUMBER_SIZE], uint64_t bytes);

/* 0.4s, 12s, 3:05, 1:02:03. */
void show_duration(char to[SHOW_NUMBER_SIZE], int64_t ns);

/* Characters of UTF-8 text: as good as columns, but for wide ones. */
size_t show_width(const char *text);

#endif
