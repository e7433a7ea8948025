#include "recorder/cli/ls_table.h"

#include <stdlib.h>
#include <string.h>

#include "recorder/base/id.h"
#include "recorder/base/text.h"
#include "recorder/cli/show.h"

#define CELL_SIZE 512
#define GAP 2
#define LEAST_ID 13 /* the whole millisecond, with its dash */

static const char *const titles[LS_COLUMNS] = {"STARTED (UTC)", "DURATION", "USER",    "SOCKET",
                                               "SIZE",          "EXIT",     "COMMAND", "ID"};

static void show_start(char to[CELL_SIZE], int64_t started_ns)
{
    char time[TEXT_TIME_SIZE];
    text_time(time, started_ns);
    snprintf(to, CELL_SIZE, "%.10s %.8s", time, time + 11);
}

static void show_exit(char to[CELL_SIZE], const struct manifest *manifest)
{
    if (manifest->exit_status >= 0)
        snprintf(to, CELL_SIZE, "%d", manifest->exit_status);
    else if (*manifest->signal)
        text_escape(to, CELL_SIZE, manifest->signal);
    else
        text_escape(to, CELL_SIZE, manifest->end);
}

static void show_command(char to[CELL_SIZE], const struct manifest *manifest)
{
    const struct manifest_transfer *transfer = &manifest->transfer;
    char command[CELL_SIZE], put[SHOW_NUMBER_SIZE], got[SHOW_NUMBER_SIZE];
    char protocol[16];
    text_escape(command, sizeof(command), *manifest->command ? manifest->command : manifest->kind);
    if (!*transfer->protocol) {
        snprintf(to, CELL_SIZE, "%s", command);
        return;
    }
    show_size(put, transfer->put_bytes);
    show_size(got, transfer->got_bytes);
    text_escape(protocol, sizeof(protocol), transfer->protocol);
    snprintf(to, CELL_SIZE, "[%s: %s in, %s out] %.400s", protocol, put, got, command);
}

int ls_table_add(struct ls_table *table, const char *id, const char *socket, uint64_t size,
                 const struct manifest *manifest)
{
    char text[LS_COLUMNS][CELL_SIZE] = {
        [LS_DURATION] = "-", [LS_USER] = "-", [LS_EXIT] = "-", [LS_COMMAND] = "-"};
    if (table->count == table->capacity) {
        size_t larger = table->capacity ? table->capacity * 2 : 64;
        struct ls_row *grown = reallocarray(table->rows, larger, sizeof(*grown));
        if (!grown)
            return ERR_NO_MEMORY;
        table->rows = grown;
        table->capacity = larger;
    }
    show_start(text[LS_STARTED], manifest ? manifest->started_ns : id_time_ns(id));
    text_escape(text[LS_SOCKET], CELL_SIZE, manifest ? manifest->socket : socket);
    show_size(text[LS_SIZE], size);
    snprintf(text[LS_ID], CELL_SIZE, "%s", id);
    if (manifest) {
        show_duration(text[LS_DURATION], manifest->duration_ns);
        text_escape(text[LS_USER], CELL_SIZE, manifest->user);
        show_exit(text[LS_EXIT], manifest);
        show_command(text[LS_COMMAND], manifest);
    }
    struct ls_row *row = &table->rows[table->count];
    *row = (struct ls_row){0};
    table->count++;
    for (int c = 0; c < LS_COLUMNS; c++) {
        row->cell[c] = strdup(text[c]);
        if (!row->cell[c])
            return ERR_NO_MEMORY;
    }
    return 0;
}

/* Rows come in order of start, so ids that are alike are neighbours. */
static size_t telling_length(const struct ls_table *table)
{
    size_t longest = LEAST_ID;
    for (size_t i = 1; i < table->count; i++) {
        const char *a = table->rows[i - 1].cell[LS_ID], *b = table->rows[i].cell[LS_ID];
        size_t same = 0;
        while (a[same] && a[same] == b[same])
            same++;
        if (a[same] && same + 1 > longest)
            longest = same + 1;
    }
    return longest;
}

static void shrink(size_t *width, size_t least, size_t *over)
{
    size_t spare = *width > least ? *width - least : 0;
    size_t taken = spare < *over ? spare : *over;
    *width -= taken;
    *over -= taken;
}

static void fit(const struct ls_table *table, unsigned available, size_t widths[LS_COLUMNS])
{
    size_t total = GAP * (LS_COLUMNS - 1);
    for (int c = 0; c < LS_COLUMNS; c++)
        total += widths[c];
    if (!available || total <= available)
        return;
    size_t over = total - available;
    shrink(&widths[LS_COMMAND], 16, &over);
    if (over) {
        size_t id = telling_length(table), saved = widths[LS_ID] - id;
        widths[LS_ID] = id;
        over -= saved < over ? saved : over;
    }
    shrink(&widths[LS_SOCKET], 10, &over);
    shrink(&widths[LS_USER], 8, &over);
    shrink(&widths[LS_COMMAND], 7, &over);
    shrink(&widths[LS_SOCKET], 6, &over);
}

/* The first characters of a cell; an ellipsis stands for what is cut, except of ids. */
static void print_cell(FILE *to, int column, const char *text, size_t width)
{
    bool right = column == LS_DURATION || column == LS_SIZE;
    size_t has = show_width(text), mark = has > width && column != LS_ID;
    if (right && has < width)
        fprintf(to, "%*s", (int)(width - has), "");
    const char *p = text;
    for (size_t left = width - mark; *p && left; left--) {
        do
            fputc(*p++, to);
        while (((unsigned char)*p & 0xc0) == 0x80);
    }
    if (mark)
        fputs("\xe2\x80\xa6", to);
    if (column == LS_COLUMNS - 1)
        fputc('\n', to);
    else
        fprintf(to, "%*s", (int)(GAP + (right || has > width ? 0 : width - has)), "");
}

void ls_table_print(const struct ls_table *table, unsigned width, FILE *to)
{
    size_t widths[LS_COLUMNS];
    for (int c = 0; c < LS_COLUMNS; c++) {
        widths[c] = strlen(titles[c]);
        for (size_t i = 0; i < table->count; i++) {
            size_t has = show_width(table->rows[i].cell[c]);
            if (has > widths[c])
                widths[c] = has;
        }
    }
    fit(table, width, widths);
    for (int c = 0; c < LS_COLUMNS; c++)
        print_cell(to, c, titles[c], widths[c]);
    for (size_t i = 0; i < table->count; i++)
        for (int c = 0; c < LS_COLUMNS; c++)
            print_cell(to, c, table->rows[i].cell[c], widths[c]);
}

void ls_table_free(struct ls_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        for (int c = 0; c < LS_COLUMNS; c++)
            free(table->rows[i].cell[c]);
    free(table->rows);
    *table = (struct ls_table){0};
}
