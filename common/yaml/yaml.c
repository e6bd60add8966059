/* SPDX-License-Identifier: Apache-2.0 */
#include "yaml/yaml.h"

#include <stdarg.h>
#include <string.h>
#include <yaml.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/utf8.h"
#include "yaml/scalar.h"
#include "json/keys.h"

/* Where each value stood, sorted by address once the document is complete. */
struct place {
    const cJSON *value;
    int line;
};

struct yaml {
    char *name;
    cJSON *root;
    struct place *places;
    size_t n_places;
    size_t room;
};

/* A collection that is still open. */
struct level {
    cJSON *container;
    size_t first_key;
    char *key; /* waits for its value; NULL in a sequence, and before a key */
    int key_line;
};

/*
 * libyaml tells the document as a row of events; its own document type isn't used, since
 * it would build whatever the file asks for. Containers hang in the tree from the moment
 * they open, so that the root alone owns everything.
 */
struct reader {
    yaml_parser_t parser;
    struct yaml *out;
    const char *text;
    size_t size;
    struct level levels[JSON_DEPTH_MAX];
    int depth;
    int n_documents;
    struct json_keys keys;
    struct err *err;
};

static int complain_at(struct reader *r, int line, const char *fmt, ...) PRINTF_LIKE(3, 4);

static int complain_at(struct reader *r, int line, const char *fmt, ...)
{
    char what[200];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    return err_set(r->err, ERR_INVALID, "%s:%d: %s", r->out->name, line, what);
}

static int line_of(const yaml_event_t *event)
{
    return (int)event->start_mark.line + 1;
}

static int line_at(const struct reader *r, size_t offset)
{
    int line = 1;

    for (size_t i = 0; i < offset && i < r->size; i++)
        line += r->text[i] == '\n';
    return line;
}

static int complain_about_syntax(struct reader *r)
{
    const yaml_parser_t *parser = &r->parser;
    const char *problem = parser->problem ? parser->problem : "not YAML";

    if (parser->error == YAML_MEMORY_ERROR)
        out_of_memory();
    if (parser->error == YAML_READER_ERROR)
        return complain_at(r, line_at(r, parser->problem_offset), "%s", problem);
    return complain_at(r, (int)parser->problem_mark.line + 1, "%s", problem);
}

/* --- The tree ------------------------------------------------------------------------- */

static void note_place(struct yaml *yaml, const cJSON *value, int line)
{
    if (yaml->n_places == yaml->room) {
        yaml->room = yaml->room ? yaml->room * 2 : 64;
        yaml->places = xrealloc(yaml->places, yaml->room * sizeof(*yaml->places));
    }
    yaml->places[yaml->n_places++] = (struct place){.value = value, .line = line};
}

/* Takes the value: it becomes the root, the next item, or the value of the waiting key. */
static void attach(struct reader *r, cJSON *value, int line)
{
    struct level *in = r->depth ? &r->levels[r->depth - 1] : NULL;

    if (!in) {
        r->out->root = value;
    } else {
        if (in->key) {
            value->string = TAKE(in->key);
            line = in->key_line;
        }
        cJSON_AddItemToArray(in->container, value);
    }
    note_place(r->out, value, line);
}

static bool expects_key(const struct reader *r)
{
    const struct level *in = r->depth ? &r->levels[r->depth - 1] : NULL;

    return in && cJSON_IsObject(in->container) && !in->key;
}

static int refuse_extras(struct reader *r, const yaml_char_t *anchor, const yaml_char_t *tag,
                         int line)
{
    if (anchor)
        return complain_at(r, line, "anchors (&name) are not supported");
    if (tag)
        return complain_at(r, line, "tags (!name) are not supported");
    return 0;
}

static int open_level(struct reader *r, bool mapping, int line)
{
    cJSON *container;

    if (expects_key(r))
        return complain_at(r, line, "a key must be plain text");
    if (r->depth == JSON_DEPTH_MAX)
        return complain_at(r, line, "nested more than %d levels deep", JSON_DEPTH_MAX);
    container = mapping ? cJSON_CreateObject() : cJSON_CreateArray();
    attach(r, container, line);
    r->levels[r->depth++] = (struct level){.container = container, .first_key = r->keys.count};
    return 0;
}

static int close_level(struct reader *r)
{
    struct level *closed = &r->levels[--r->depth];
    const struct json_key *again = json_keys_close(&r->keys, closed->first_key);
    char shown[JSON_SHOWN_SIZE];

    if (!again)
        return 0;
    json_show_key(again->name, shown);
    return complain_at(r, (int)again->at, "key \"%s\" is there twice", shown);
}

static int take_key(struct reader *r, const char *text, int line)
{
    struct level *in = &r->levels[r->depth - 1];

    if (!*text)
        return complain_at(r, line, "a key can't be empty");
    in->key = xstrdup(text);
    in->key_line = line;
    json_keys_add(&r->keys, in->key, (size_t)line);
    return 0;
}

static int take_scalar(struct reader *r, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    int line = line_of(event);
    cJSON *value;

    /* The bytes were checked, but "\0" and "\x80" in double quotes make new ones. */
    if (!json_utf8_valid(text, event->data.scalar.length))
        return complain_at(r, line, "a string can't hold NUL or what isn't UTF-8");
    if (expects_key(r))
        return take_key(r, text, line);
    value = plain ? yaml_plain_scalar(text) : jstr(text);
    if (!value)
        return complain_at(r, line, "number out of range");
    attach(r, value, line);
    return 0;
}

/* --- The events ----------------------------------------------------------------------- */

static int take_event(struct reader *r, const yaml_event_t *event)
{
    int line = line_of(event);

    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (r->n_documents++)
            return complain_at(r, line, "more than one document");
        return 0;
    case YAML_ALIAS_EVENT:
        return complain_at(r, line, "aliases (*name) are not supported");
    case YAML_SCALAR_EVENT:
        if (refuse_extras(r, event->data.scalar.anchor, event->data.scalar.tag, line) < 0)
            return -1;
        return take_scalar(r, event);
    case YAML_SEQUENCE_START_EVENT:
        if (refuse_extras(r, event->data.sequence_start.anchor, event->data.sequence_start.tag,
                          line)
            < 0)
            return -1;
        return open_level(r, false, line);
    case YAML_MAPPING_START_EVENT:
        if (refuse_extras(r, event->data.mapping_start.anchor, event->data.mapping_start.tag,
                          line)
            < 0)
            return -1;
        return open_level(r, true, line);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return close_level(r);
    default:
        return 0;
    }
}

static int read_events(struct reader *r)
{
    for (;;) {
        yaml_event_t event;
        bool last;
        int took;

        if (!yaml_parser_parse(&r->parser, &event))
            return complain_about_syntax(r);
        last = event.type == YAML_STREAM_END_EVENT;
        took = take_event(r, &event);
        yaml_event_delete(&event);
        if (took < 0 || last)
            return took;
    }
}

/* libyaml guesses UTF-16 from a mark; we say what it is, having looked at all of it. */
static int check_bytes(struct reader *r)
{
    size_t good = 0;

    if (json_utf8_valid(r->text, r->size))
        return 0;
    while (good < r->size) {
        size_t length = utf8_first(r->text + good, r->size - good);

        if (!length || !r->text[good])
            break;
        good += length;
    }
    return complain_at(r, line_at(r, good), "a byte that isn't UTF-8 text");
}

static int read_document(struct reader *r)
{
    int result;

    if (check_bytes(r) < 0)
        return -1;
    if (!yaml_parser_initialize(&r->parser))
        out_of_memory();
    yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)r->text, r->size);
    result = read_events(r);
    yaml_parser_delete(&r->parser);
    return result;
}

static int by_address(const void *a, const void *b)
{
    const struct place *left = a;
    const struct place *right = b;
    uintptr_t x = (uintptr_t)left->value;
    uintptr_t y = (uintptr_t)right->value;

    return (x > y) - (x < y);
}

static void finish(struct yaml *yaml)
{
    if (!yaml->root || cJSON_IsNull(yaml->root)) {
        cJSON_Delete(yaml->root);
        yaml->n_places = 0;
        yaml->root = cJSON_CreateObject();
        note_place(yaml, yaml->root, 1);
    }
    qsort(yaml->places, yaml->n_places, sizeof(*yaml->places), by_address);
}

struct yaml *yaml_parse(const char *name, const char *text, size_t size, struct err *err)
{
    scoped(yaml) yaml = xcalloc(1, sizeof(*yaml));
    struct reader reader = {.out = yaml, .text = text, .size = size, .err = err};
    int result;

    yaml->name = xstrdup(name);
    if (size > YAML_SIZE_MAX) {
        err_set(err, ERR_TOO_LARGE, "%s: larger than %d bytes", name, YAML_SIZE_MAX);
        return NULL;
    }
    result = read_document(&reader);
    json_keys_done(&reader.keys);
    for (int i = 0; i < reader.depth; i++)
        free(reader.levels[i].key);
    if (result < 0)
        return NULL;
    finish(yaml);
    return TAKE(yaml);
}

struct yaml *yaml_parse_file(const char *path, struct err *err)
{
    scoped_buf text = {0};

    if (buf_read_file(&text, path, YAML_SIZE_MAX, err) < 0)
        return NULL;
    return yaml_parse(path, text.data ? text.data : "", text.size, err);
}

void yaml_free(struct yaml *yaml)
{
    if (!yaml)
        return;
    cJSON_Delete(yaml->root);
    free(yaml->places);
    free(yaml->name);
    free(yaml);
}

const cJSON *yaml_root(const struct yaml *yaml)
{
    return yaml->root;
}

int yaml_line(const struct yaml *yaml, const cJSON *value)
{
    const struct place wanted = {.value = value};
    const struct place *found =
        bsearch(&wanted, yaml->places, yaml->n_places, sizeof(*yaml->places), by_address);

    return found ? found->line : 0;
}

const char *yaml_name(const struct yaml *yaml)
{
    return yaml->name;
}
