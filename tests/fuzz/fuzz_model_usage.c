/* SPDX-License-Identifier: Apache-2.0 */
/* A model's answer: what it says it used is the same however it is cut, and never negative. The
 * first byte says of which protocol and form it is, the second where it is cut. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "gateway/usage_reader.h"

static struct model_totals read_in_pieces(struct usage_reader *reader, uint8_t kind,
                                          const char *data, size_t size, size_t piece)
{
    struct model_totals used;

    usage_reader_init(reader, (enum model_protocol)(kind % 3U),
                      (enum usage_form)(kind / 3U % 3U));
    for (size_t at = 0; at < size; at += piece)
        usage_reader_feed(reader, data + at, piece < size - at ? piece : size - at);
    usage_reader_finish(reader, size, &used);
    return used;
}

static int64_t differ(const struct model_totals *a, const struct model_totals *b)
{
    return (a->input_tokens ^ b->input_tokens) | (a->output_tokens ^ b->output_tokens)
           | (a->cache_read_tokens ^ b->cache_read_tokens)
           | (a->cache_write_tokens ^ b->cache_write_tokens) | (a->estimated ^ b->estimated);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct usage_reader whole;
    static struct usage_reader cut;
    struct model_totals a;
    struct model_totals b;

    if (size < 3)
        return 0;
    a = read_in_pieces(&whole, data[0], (const char *)data + 2, size - 2, size);
    b = read_in_pieces(&cut, data[0], (const char *)data + 2, size - 2, 1 + data[1] % 16U);
    if (differ(&a, &b) || strcmp(whole.model, cut.model) != 0
        || memcmp(&whole.cost_usd, &cut.cost_usd, sizeof(whole.cost_usd)) != 0)
        abort();
    if (a.input_tokens < 0 || a.output_tokens < 0 || a.cache_read_tokens < 0
        || a.cache_write_tokens < 0 || !(a.cost_usd >= 0))
        abort();
    return 0;
}
