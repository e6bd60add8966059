/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatchctl/table.h"

#include <string.h>
#include <wchar.h>

#include "base/alloc.h"
#include "dispatchctl/clean.h"

#define GAP 3

struct table {
    const char *const *headings;
    size_t n_columns;
    bool colors;
    char **cells; /* row by row */
    size_t n_cells;
    size_t room;
};

struct table *table_new(const char *const *headings, bool colors)
{
    struct table *table = xcalloc(1, sizeof(*table));

    table->headings = headings;
    table->colors = colors;
    while (headings[table->n_columns])
        table->n_columns++;
    return table;
}

void table_free(struct table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->n_cells; i++)
        free(table->cells[i]);
    free(table->cells);
    free(table);
}

void table_add(struct table *table, const char *const *cells)
{
    if (table->n_cells + table->n_columns > table->room) {
        table->room = 2 * table->room + 16 * table->n_columns;
        table->cells = xrealloc(table->cells, table->room * sizeof(*table->cells));
    }
    for (size_t i = 0; i < table->n_columns; i++)
        table->cells[table->n_cells++] = clean_line(cells[i] && *cells[i] ? cells[i] : "-");
}

int table_text_width(const char *text)
{
    mbstate_t state = {0};
    size_t left = strlen(text);
    int width = 0;

    while (left) {
        wchar_t character;
        size_t size = mbrtowc(&character, text, left, &state);
        int columns;

        if (size == 0 || size > left) { /* not in this locale: a byte that begins one counts */
            width += ((unsigned char)*text & 0xc0) != 0x80;
            state = (mbstate_t){0};
            size = 1;
        } else {
            columns = wcwidth(character);
            width += columns < 0 ? 1 : columns;
        }
        text += size;
        left -= size;
    }
    return width;
}

const char *table_status_color(const char *status)
{
    static const struct {
        const char *status;
        const char *color;
    } colors[] = {
        {"completed", "\033[32m"}, {"delivered", "\033[32m"}, {"failed", "\033[31m"},
        {"running", "\033[36m"},   {"stopped", "\033[33m"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(colors); i++)
        if (strcmp(colors[i].status, status) == 0)
            return colors[i].color;
    return "";
}

static int column_width(const struct table *table, size_t column)
{
    int widest = table_text_width(table->headings[column]);

    for (size_t i = column; i < table->n_cells; i += table->n_columns) {
        int width = table_text_width(table->cells[i]);

        widest = width > widest ? width : widest;
    }
    return widest;
}

static void print_row(const struct table *table, const char *const *cells, const int *widths,
                      bool colors, FILE *out)
{
    for (size_t i = 0; i < table->n_columns; i++) {
        const char *color = colors ? table_status_color(cells[i]) : "";
        bool last = i + 1 == table->n_columns;

        (void)fprintf(out, "%s%s%s", color, cells[i], *color ? COLOR_END : "");
        if (!last)
            (void)fprintf(out, "%*s", widths[i] + GAP - table_text_width(cells[i]), "");
    }
    (void)fputc('\n', out);
}

void table_print(const struct table *table, FILE *out)
{
    int *widths = xcalloc(table->n_columns, sizeof(*widths));

    for (size_t i = 0; i < table->n_columns; i++)
        widths[i] = column_width(table, i);
    print_row(table, table->headings, widths, false, out);
    for (size_t row = 0; row < table->n_cells; row += table->n_columns)
        print_row(table, (const char *const *)&table->cells[row], widths, table->colors, out);
    free(widths);
}
