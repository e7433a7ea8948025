/* Reading JSON so that running out of memory is never taken for what the text says. */
#ifndef CASTBUCKET_BASE_JSON_H
#define CASTBUCKET_BASE_JSON_H

#include <stddef.h>

#include <jansson.h>

#include "recorder/base/error.h"

/* An object; a duplicate key is an error. ERR_INVALID: the text is at fault, and the sentence says
 * where. ERR_NO_MEMORY: jansson had none. Where its buffer for a word cannot grow (2.14,
 * lex_save()) it drops a character and goes on: a path or a bucket would be another one. So the
 * strings are measured against the text, and numbers of more than 64 characters, which are none
 * of ours, are ERR_INVALID. */
__attribute__((warn_unused_result)) int json_read_object(const char *text, size_t length,
                                                         json_t **object, struct error *error);

#endif
