/* SPDX-License-Identifier: Apache-2.0 */
#include "api/rate.h"

_Static_assert((int)AUDIT_ADDRESS_SIZE >= (int)CLIENT_ADDRESS_SIZE, "an address would be cut");

/* The control socket's file mode is its check: whoever comes that way has no principal. */
struct audit_source request_source(const struct app *app, const struct request *req)
{
    const struct principal *principal = principal_of(req);
    struct audit_source source = {
        .actor = principal ? principal->actor : "control-socket",
        .request_id = request_id(req),
    };

    client_address(app->config, req, source.address);
    return source;
}
