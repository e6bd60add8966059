/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_GOOGLEAPIS_GOOGLE_SERVER_H
#define UNIT_GOOGLEAPIS_GOOGLE_SERVER_H
#include "scripted_server.h"

#include "googleapis/token_source.h"

/* A metadata server, token endpoint or API that gives the answers of a script in order. */
#define FLAVOUR "Metadata-Flavor: Google\r\n"
#define TOKEN_ANSWER(token, life)                                                              \
    "{\"access_token\":\"" token "\",\"expires_in\":" life ",\"token_type\":\"Bearer\"}"

#define SCRIPT(out, ...)                                                                       \
    do {                                                                                       \
        static const struct scripted_answer answers_[] = {__VA_ARGS__};                        \
                                                                                               \
        *(out) = (struct script){.answers = answers_, .n_answers = ARRAY_SIZE(answers_)};      \
    } while (0)

/* One that asks this server's metadata. */
static inline struct token_source *metadata_source(const struct server *server)
{
    const struct token_source_options options = {0};
    scoped_str host = xasprintf("127.0.0.1:%d", server->port);
    struct token_source *source;
    struct err err = {0};

    assert_int_equal(setenv("GCE_METADATA_HOST", host, 1), 0);
    source = token_source_new(&options, &err);
    assert_int_equal(unsetenv("GCE_METADATA_HOST"), 0);
    assert_made(source, err);
    return source;
}
#endif
