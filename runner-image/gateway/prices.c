/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/prices.h"

#include <string.h>

#include "base/alloc.h"
#include "gateway/prices_data.h"
#include "yaml/yaml.h"

#define MODELS_MAX 1000
#define PRICE_MAX_USD 1000000.0
#define TOKENS_OF_A_PRICE 1e6

struct price {
    char *name;
    double input; /* for a million tokens, as all of these */
    double output;
    double cache_read;
    double cache_write;
};

struct prices {
    struct price *all;
    size_t n;
};

struct document {
    const cJSON *models;
};

static const struct jfield document_fields[] = {
    JFIELD(struct document, models, J_REQUIRED),
};
static const struct jfield price_fields[] = {
    JFIELD(struct price, input, J_REQUIRED),
    JFIELD(struct price, output, J_REQUIRED),
    JFIELD(struct price, cache_read, J_OPTIONAL),
    JFIELD(struct price, cache_write, J_OPTIONAL),
};

static bool is_price(double usd)
{
    return usd >= 0 && usd <= PRICE_MAX_USD;
}

/* The entry of this very name, made if there is none. */
static struct price *entry_of(struct prices *prices, const char *name)
{
    for (size_t i = 0; i < prices->n; i++) {
        if (strcmp(prices->all[i].name, name) == 0)
            return &prices->all[i];
    }
    prices->all = xrealloc(prices->all, (prices->n + 1) * sizeof(*prices->all));
    prices->all[prices->n] = (struct price){.name = xstrdup(name)};
    return &prices->all[prices->n++];
}

static int read_price(struct prices *prices, const cJSON *value, struct err *err)
{
    struct price price = {.cache_read = -1, .cache_write = -1};
    struct price *entry;

    if (json_read(value, price_fields, &price, err) < 0)
        return -1;
    if (price.cache_read < 0)
        price.cache_read = price.input;
    if (price.cache_write < 0)
        price.cache_write = price.input;
    if (!is_price(price.input) || !is_price(price.output) || !is_price(price.cache_read)
        || !is_price(price.cache_write))
        return err_set(err, ERR_INVALID, "expected dollars for a million tokens");
    entry = entry_of(prices, value->string);
    price.name = entry->name;
    *entry = price;
    return 0;
}

static int read_all(struct prices *prices, const struct yaml *yaml, struct err *err)
{
    struct document document = {0};

    if (json_read(yaml_root(yaml), document_fields, &document, err) < 0)
        return err_wrap(err, "%s", yaml_name(yaml));
    if (!cJSON_IsObject(document.models) || cJSON_GetArraySize(document.models) > MODELS_MAX)
        return err_set(err, ERR_INVALID, "%s: models: expected at most %d names with prices",
                       yaml_name(yaml), MODELS_MAX);
    for (const cJSON *value = document.models->child; value; value = value->next) {
        if (read_price(prices, value, err) < 0)
            return err_wrap(err, "%s:%d: models.%.60s", yaml_name(yaml), yaml_line(yaml, value),
                            value->string);
    }
    return 0;
}

struct prices *prices_load(const char *file, struct err *err)
{
    scoped(prices) prices = xcalloc(1, sizeof(*prices));
    scoped(yaml) own =
        yaml_parse("prices.yaml", (const char *)model_prices_yaml, model_prices_yaml_size, err);
    scoped(yaml) theirs = own && file ? yaml_parse_file(file, err) : NULL;

    if (!own || (file && !theirs) || read_all(prices, own, err) < 0)
        return NULL;
    if (theirs && read_all(prices, theirs, err) < 0)
        return NULL;
    return TAKE(prices);
}

void prices_free(struct prices *prices)
{
    if (!prices)
        return;
    for (size_t i = 0; i < prices->n; i++)
        free(prices->all[i].name);
    free(prices->all);
    free(prices);
}

static const struct price *longest_prefix(const struct prices *prices, const char *model)
{
    const struct price *best = NULL;
    size_t best_length = 0;

    for (size_t i = 0; i < prices->n; i++) {
        size_t length = strlen(prices->all[i].name);

        if (length > best_length && strncmp(model, prices->all[i].name, length) == 0) {
            best = &prices->all[i];
            best_length = length;
        }
    }
    return best;
}

/* A file may price "vendor/model" apart from "model". */
static const struct price *find(const struct prices *prices, const char *model)
{
    const char *slash = strrchr(model, '/');
    const struct price *price = longest_prefix(prices, model);

    return price || !slash ? price : longest_prefix(prices, slash + 1);
}

bool prices_cost(const struct prices *prices, const char *model,
                 const struct model_totals *tokens, double *out_usd)
{
    const struct price *price = find(prices, model);

    if (!price)
        return false;
    *out_usd = ((double)tokens->input_tokens * price->input
                + (double)tokens->output_tokens * price->output
                + (double)tokens->cache_read_tokens * price->cache_read
                + (double)tokens->cache_write_tokens * price->cache_write)
               / TOKENS_OF_A_PRICE;
    return true;
}
