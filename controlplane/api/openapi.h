/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_OPENAPI_H
#define API_OPENAPI_H
#include <stddef.h>

/*
 * controlplane/api/openapi.yaml as it was at build time: the text, without a NUL at its end.
 */
extern const unsigned char openapi_yaml[];
extern const size_t openapi_yaml_size;
#endif
