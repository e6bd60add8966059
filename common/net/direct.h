/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_DIRECT_H
#define NET_DIRECT_H
#include "net/call.h"

/*
 * Calls that their callers drive themselves, each over a connection that is its own meanwhile:
 * nothing is handed to another thread and back. That is what short calls at a high rate take
 * least of, on both sides, as long as there are no more of them at a time than connections;
 * whoever finds none free waits for one. Private to this folder; net.h tells what it is for.
 */
struct net;

/* `connections` of them. */
int direct_open(struct net *net, int connections, struct err *err) CHECKED;
void direct_close(struct net *net); /* nobody calls any more */
/* Under the net's lock, once it is stopping: those under way are to notice. */
void direct_stop(struct net *net);

/* One try. The call is the caller's again afterwards, with its code or its cut. */
void direct_try(struct net *net, struct call *call, int64_t started_ms);
#endif
