/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNER_GATEWAY_PRICES_DATA_H
#define RUNNER_GATEWAY_PRICES_DATA_H
#include <stddef.h>

/* prices.yaml, by hack/embed-file. */
extern const unsigned char model_prices_yaml[];
extern const size_t model_prices_yaml_size;
#endif
