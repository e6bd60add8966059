/* SPDX-License-Identifier: Apache-2.0 */
#include "service/explain.h"

#include "base/alloc.h"
#include "service/state.h"

void service_place_of(struct service *service, const struct run *run, struct service_place *out)
{
    int64_t pending = atomic_load(&service->pending);
    int64_t waiting; /* of these, those that admission.h knows */
    int64_t ahead = admission_ahead(service->admission, run->priority, &waiting);
    int64_t usual = pending > waiting ? pending - waiting : 0;

    *out = (struct service_place){
        .position = 1 + ahead + (run->priority <= RUN_PRIORITY_USUAL ? usual : 0),
        .pending = pending,
        .active = atomic_load(&service->active),
    };
    if (!service_pending_reason(service, run, out->blocked_by, sizeof(out->blocked_by)))
        out->blocked_by[0] = '\0';
}

/* Set once, by service_start; before, nothing is launched. */
static char *home_of(struct service *service)
{
    char *url;

    (void)pthread_mutex_lock(&service->lock);
    url = xstrdup(service->url ? service->url : "");
    (void)pthread_mutex_unlock(&service->lock);
    return url;
}

int service_explain(struct service *service, const struct run *run, const char **out_launcher,
                    cJSON **out, struct err *err)
{
    scoped_str url = home_of(service);
    struct job_spec spec = queue_job_spec(service, run, url);

    struct backend *backend =
        backends_likely(&service->backends, backends_route_of(&service->backends, run));

    if (!backend) {
        *out_launcher = run->wanted_launcher;
        return err_set(err, ERR_UNSUPPORTED, "that launcher is not configured");
    }
    *out_launcher = backend->name;
    return launcher_explain(backend->launcher, &spec, out, err);
}
