#include "recorder/aws/xml.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <expat.h>

#include "recorder/base/buffer.h"

struct reader {
    XML_Parser parser;
    xml_each *each;
    void *context;
    char path[XML_MAX_PATH];
    size_t depth;
    /* Where each open element's text begins in `text`: an element's own text is cut off at its end,
     * so that its parent's goes on where it was. */
    size_t begins[XML_MAX_DEPTH];
    struct buffer text;
    int rc;
    const char *reason;
};

/* Expat's memory, overwritten before it is given back. The size is kept in front. */
struct block {
    size_t size;
    max_align_t bytes[];
};

static void *take(size_t size)
{
    struct block *block = size > SIZE_MAX / 2 ? NULL : malloc(sizeof(*block) + size);
    if (!block)
        return NULL;
    block->size = size;
    return block->bytes;
}

static void give_back(void *pointer)
{
    if (!pointer)
        return;
    struct block *block = (void *)((char *)pointer - offsetof(struct block, bytes));
    explicit_bzero(block, sizeof(*block) + block->size);
    free(block);
}

static void *resize(void *pointer, size_t size)
{
    void *fresh = take(size);
    if (!fresh || !pointer)
        return fresh;
    const struct block *block = (void *)((char *)pointer - offsetof(struct block, bytes));
    memcpy(fresh, pointer, block->size < size ? block->size : size);
    give_back(pointer);
    return fresh;
}

static void stop(struct reader *reader, int rc, const char *reason)
{
    if (reader->rc == 0) {
        reader->rc = rc;
        reader->reason = reason;
    }
    XML_StopParser(reader->parser, XML_FALSE);
}

static void begin(void *context, const XML_Char *name, const XML_Char **attributes)
{
    struct reader *reader = context;
    (void)attributes;
    const char *colon = strrchr(name, ':');
    const char *local = colon ? colon + 1 : name;
    size_t used = strlen(reader->path), length = strlen(local);
    if (reader->depth == XML_MAX_DEPTH || used + length + 2 > sizeof(reader->path)) {
        stop(reader, ERR_DAMAGED, "it is nested too deeply");
        return;
    }
    if (used)
        reader->path[used++] = '/';
    memcpy(reader->path + used, local, length + 1);
    reader->begins[reader->depth++] = reader->text.length;
}

static void text(void *context, const XML_Char *data, int length)
{
    struct reader *reader = context;
    if (reader->depth == 0)
        return;
    int rc = buffer_append(&reader->text, data, (size_t)length);
    if (rc)
        stop(reader, rc == ERR_LIMIT ? ERR_DAMAGED : rc, "an element's text is too long");
}

static void end(void *context, const XML_Char *name)
{
    struct reader *reader = context;
    (void)name;
    size_t from = reader->begins[--reader->depth];
    if (reader->rc == 0 && reader->each) {
        int rc = reader->each(reader->context, reader->path,
                              reader->text.data ? reader->text.data + from : "");
        if (rc)
            stop(reader, rc, NULL);
    }
    reader->text.length = from;
    if (reader->text.data)
        reader->text.data[from] = '\0';
    char *slash = strrchr(reader->path, '/');
    *(slash ? slash : reader->path) = '\0';
}

static void doctype(void *context, const XML_Char *name, const XML_Char *system,
                    const XML_Char *public, int has_subset)
{
    (void)name;
    (void)system;
    (void)public;
    (void)has_subset;
    stop(context, ERR_DAMAGED, "it has a DOCTYPE");
}

int xml_read(const char *data, size_t length, xml_each *each, void *context, struct error *error)
{
    static const XML_Memory_Handling_Suite memory = {take, resize, give_back};
    struct reader reader = {.each = each, .context = context, .text = BUFFER_INIT(XML_MAX_TEXT)};
    int rc = 0;
    if (length > INT32_MAX)
        return error_set(error, ERR_LIMIT, "the XML is too large");
    /* Room for all the text at once: growing would leave copies of secrets behind. */
    if (buffer_reserve(&reader.text, XML_MAX_TEXT))
        return error_set(error, ERR_NO_MEMORY, "no memory to read XML");
    reader.parser = XML_ParserCreate_MM(NULL, &memory, NULL);
    if (!reader.parser) {
        rc = error_set(error, ERR_NO_MEMORY, "no memory to read XML");
        goto out;
    }
    XML_SetUserData(reader.parser, &reader);
    XML_SetElementHandler(reader.parser, begin, end);
    XML_SetCharacterDataHandler(reader.parser, text);
    XML_SetStartDoctypeDeclHandler(reader.parser, doctype);
    enum XML_Status status = XML_Parse(reader.parser, data, (int)length, XML_TRUE);
    if (reader.rc)
        rc = reader.reason ? error_set(error, reader.rc, "the XML is refused: %s", reader.reason)
                           : reader.rc;
    else if (status != XML_STATUS_OK && XML_GetErrorCode(reader.parser) == XML_ERROR_NO_MEMORY)
        rc = error_set(error, ERR_NO_MEMORY, "no memory to read XML");
    else if (status != XML_STATUS_OK)
        rc = error_set(error, ERR_DAMAGED, "the XML is broken in line %lu: %s",
                       (unsigned long)XML_GetCurrentLineNumber(reader.parser),
                       XML_ErrorString(XML_GetErrorCode(reader.parser)));
    XML_ParserFree(reader.parser);
out:
    buffer_cleanse(&reader.text);
    return rc;
}

struct wanted {
    const char *path;
    char *text;
    size_t size;
    bool found;
};

/* Any non-zero value ends the reading. */
static int keep_wanted(void *context, const char *path, const char *value)
{
    struct wanted *wanted = context;
    if (strcmp(path, wanted->path) != 0)
        return 0;
    size_t length = strlen(value);
    wanted->found = length < wanted->size;
    if (wanted->found)
        memcpy(wanted->text, value, length + 1);
    return ERR_EXISTS;
}

bool xml_text(const char *data, size_t length, const char *path, char *to, size_t size)
{
    struct wanted wanted = {.path = path, .text = to, .size = size};
    int rc = xml_read(data, length, keep_wanted, &wanted, NULL);
    return rc == ERR_EXISTS && wanted.found;
}
