#include <stdlib.h>
#include <string.h>

#include "recorder/aws/s3_call.h"
#include "recorder/aws/xml.h"

#define MAX_PAGE 10000 /* entries; S3's own most is 1,000 */
#define MAX_TOKEN 4096

/* One page of the list. */
struct page {
    struct entry {
        char *key;
        uint64_t size;
        bool is_prefix;
    } * entries;
    size_t count, capacity;
    char token[MAX_TOKEN]; /* NextContinuationToken */
    bool truncated, url_encoded;
    bool is_list; /* the answer is a ListBucketResult at all */
    char *key;    /* of the entry being read */
    uint64_t size;
};

static void page_clear(struct page *page)
{
    for (size_t i = 0; i < page->count; i++)
        free(page->entries[i].key);
    free(page->key);
    page->key = NULL;
    page->count = 0;
    page->size = 0;
    page->token[0] = '\0';
    page->truncated = page->url_encoded = page->is_list = false;
}

static int add(struct page *page, char *key, uint64_t size, bool is_prefix)
{
    if (page->count == MAX_PAGE) {
        free(key);
        return ERR_LIMIT;
    }
    if (page->count == page->capacity) {
        size_t capacity = page->capacity ? page->capacity * 2 : 256;
        struct entry *entries = realloc(page->entries, capacity * sizeof(*entries));
        if (!entries) {
            free(key);
            return ERR_NO_MEMORY;
        }
        page->entries = entries;
        page->capacity = capacity;
    }
    page->entries[page->count++] = (struct entry){key, size, is_prefix};
    return 0;
}

static int read_element(void *context, const char *path, const char *text)
{
    struct page *page = context;
    const char *root = "ListBucketResult";
    size_t length = strlen(root);
    if (strncmp(path, root, length) != 0)
        return 0;
    const char *name = path + length;
    if (*name == '\0') {
        page->is_list = true;
    } else if (strcmp(name, "/Contents/Key") == 0) {
        free(page->key);
        page->key = strdup(text);
        return page->key ? 0 : ERR_NO_MEMORY;
    } else if (strcmp(name, "/Contents/Size") == 0) {
        page->size = strtoull(text, NULL, 10);
    } else if (strcmp(name, "/Contents") == 0 && page->key) {
        char *key = page->key;
        uint64_t size = page->size;
        page->key = NULL;
        page->size = 0;
        return add(page, key, size, false);
    } else if (strcmp(name, "/CommonPrefixes/Prefix") == 0) {
        char *key = strdup(text);
        return key ? add(page, key, 0, true) : ERR_NO_MEMORY;
    } else if (strcmp(name, "/IsTruncated") == 0) {
        page->truncated = strcmp(text, "true") == 0;
    } else if (strcmp(name, "/EncodingType") == 0) {
        page->url_encoded = strcmp(text, "url") == 0;
    } else if (strcmp(name, "/NextContinuationToken") == 0) {
        if (strlen(text) >= sizeof(page->token))
            return ERR_LIMIT;
        memcpy(page->token, text, strlen(text) + 1);
    }
    return 0;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place. '+' is a space, as in forms: a plus itself comes as %2B. */
static void url_decode(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        int high = *from == '%' ? hex(from[1]) : -1;
        int low = high >= 0 ? hex(from[2]) : -1;
        if (low >= 0 && (high || low)) {
            *to++ = (char)(high << 4 | low);
            from += 2;
        } else {
            *to++ = *from == '+' ? ' ' : *from;
        }
    }
    *to = '\0';
}

static int by_key(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    return strcmp(a->key, b->key);
}

/* Decodes, sorts (prefixes come apart from keys) and gives a page. */
static int give(struct page *page, int (*each)(void *context, const struct s3_list_entry *entry),
                void *context)
{
    for (size_t i = 0; page->url_encoded && i < page->count; i++)
        url_decode(page->entries[i].key);
    if (page->count)
        qsort(page->entries, page->count, sizeof(page->entries[0]), by_key);
    for (size_t i = 0; i < page->count; i++) {
        const struct s3_list_entry entry = {page->entries[i].key, page->entries[i].size,
                                            page->entries[i].is_prefix};
        int rc = each(context, &entry);
        if (rc)
            return rc;
    }
    return 0;
}

static int get_page(struct s3_bucket *bucket, const char *prefix, const char *delimiter,
                    const char *token, struct page *page, struct error *error)
{
    struct sigv4_pair query[5];
    struct http_response response = HTTP_RESPONSE_INIT;
    size_t count = 0;
    query[count++] = (struct sigv4_pair){"list-type", "2"};
    query[count++] = (struct sigv4_pair){"encoding-type", "url"};
    if (*prefix)
        query[count++] = (struct sigv4_pair){"prefix", prefix};
    if (*delimiter)
        query[count++] = (struct sigv4_pair){"delimiter", delimiter};
    if (*token)
        query[count++] = (struct sigv4_pair){"continuation-token", token};
    const struct s3_call call = {.operation = "ListObjectsV2",
                                 .permission = "s3:ListBucket",
                                 .method = "GET",
                                 .query = query,
                                 .query_count = count};
    int rc = s3_call(bucket, &call, &response, error);
    if (rc == 0) {
        rc = xml_read(response.body.data ? response.body.data : "", response.body.length,
                      read_element, page, error);
        if (rc || !page->is_list)
            rc = error_set(error, rc == ERR_NO_MEMORY ? rc : ERR_RETRY,
                           "s3://%.80s: what answered is not ListObjectsV2; is the endpoint right?",
                           bucket->name);
    }
    http_response_free(&response);
    return rc;
}

int s3_list(struct s3_bucket *bucket, const char *prefix, const char *delimiter,
            int (*each)(void *context, const struct s3_list_entry *entry), void *context,
            struct error *error)
{
    struct page page = {.count = 0};
    char token[MAX_TOKEN] = "";
    int rc;
    do {
        page_clear(&page);
        rc = get_page(bucket, prefix, delimiter, token, &page, error);
        if (rc == 0)
            rc = give(&page, each, context);
        if (rc == 0 && page.truncated && (!page.token[0] || strcmp(page.token, token) == 0))
            rc = error_set(error, ERR_RETRY,
                           "s3://%.80s: the store says there is more to list, but not where",
                           bucket->name);
        memcpy(token, page.token, sizeof(token));
    } while (rc == 0 && page.truncated);
    page_clear(&page);
    free(page.entries);
    return rc;
}
