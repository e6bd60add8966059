/* SPDX-License-Identifier: Apache-2.0 */
#include "net/public_only.h"

static bool is_allowed(struct public_only *rule, const struct sockaddr *address)
{
    bool allowed = address_allowed(address, rule->allowed, rule->n_allowed);

    rule->tried |= allowed;
    rule->refused |= !allowed;
    return allowed;
}

static curl_socket_t open_socket(void *self, curlsocktype purpose, struct curl_sockaddr *to)
{
    (void)purpose;
    if (!is_allowed(self, &to->addr))
        return CURL_SOCKET_BAD;
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static int before_request(void *self, char *their_ip, char *our_ip, int their_port,
                          int our_port)
{
    struct public_only *rule = self;
    struct sockaddr_storage address;

    (void)our_ip;
    (void)their_port;
    (void)our_port;
    if (their_ip && address_parse(their_ip, &address)
        && address_allowed((const struct sockaddr *)&address, rule->allowed, rule->n_allowed))
        return CURL_PREREQFUNC_OK;
    rule->refused = true;
    return CURL_PREREQFUNC_ABORT;
}

int public_only_set(CURL *easy, struct public_only *rule)
{
    return (int)curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket)
           | (int)curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, rule)
           | (int)curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_request)
           | (int)curl_easy_setopt(easy, CURLOPT_PREREQDATA, rule)
           | (int)curl_easy_setopt(easy, CURLOPT_PROXY, "");
}

void public_only_rewind(struct public_only *rule)
{
    rule->refused = false;
    rule->tried = false;
}

bool public_only_ended(const struct public_only *rule, CURLcode code)
{
    if (!rule->refused)
        return false;
    return code == CURLE_ABORTED_BY_CALLBACK || (code == CURLE_COULDNT_CONNECT && !rule->tried);
}
