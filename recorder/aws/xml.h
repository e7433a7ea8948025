/* Reading the XML that AWS and its likes answer with.
 *
 * What comes in is not trusted: a DOCTYPE is refused (so there are no entities to expand), depth,
 * name and text lengths are capped. Documents carry secrets (AssumeRole's answer), so the parser's
 * memory is overwritten before it is freed. */
#ifndef CASTBUCKET_AWS_XML_H
#define CASTBUCKET_AWS_XML_H

#include <stdbool.h>
#include <stddef.h>

#include "recorder/base/error.h"

#define XML_MAX_DEPTH 16
#define XML_MAX_PATH 512   /* bytes of "A/B/C" */
#define XML_MAX_TEXT 65536 /* bytes of one element's own text */

/* Called at each element's end with its path from the root, without namespaces, such as
 * "ListBucketResult/Contents/Key", and its own text (entities resolved, "" if none). Both are
 * borrowed. Non-zero stops and is returned. */
typedef int xml_each(void *context, const char *path, const char *text);

/* ERR_DAMAGED: not well-formed, or beyond the caps; the sentence says where. */
__attribute__((warn_unused_result)) int xml_read(const char *data, size_t length, xml_each *each,
                                                 void *context, struct error *error);

/* The text of the first element at `path`, for small answers. False if absent, not XML, or too
 * long for `size`. */
bool xml_text(const char *data, size_t length, const char *path, char *text, size_t size);

#endif
