#include <string.h>

#include "recorder/cli/commands.h"

#define MAX_WORD 40

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Levenshtein's distance: letters to insert, remove or replace. */
static size_t distance(const char *a, const char *b)
{
    size_t row[MAX_WORD + 1], a_length = strlen(a), b_length = strlen(b);
    for (size_t i = 0; i <= b_length; i++)
        row[i] = i;
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t k = 1; k <= b_length; k++) {
            size_t replace = diagonal + (a[i - 1] != b[k - 1]);
            diagonal = row[k];
            row[k] = smaller(replace, smaller(row[k], row[k - 1]) + 1);
        }
    }
    return row[b_length];
}

void cli_nearest_offer(struct cli_nearest *nearest, const char *name)
{
    size_t length = strlen(nearest->typed);
    if (length == 0 || length > MAX_WORD || strlen(name) > MAX_WORD)
        return;
    size_t apart = distance(nearest->typed, name);
    if (apart <= length / 3 + 1 && apart < length &&
        (!nearest->best || apart < nearest->distance)) {
        nearest->best = name;
        nearest->distance = apart;
    }
}
